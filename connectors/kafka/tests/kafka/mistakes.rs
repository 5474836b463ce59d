//! What a user does wrong first, and what is said of it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use dstream::{StreamingContext, prelude::*};
use dstream_kafka::{Kafka, KafkaSink, Start, kafka_stream};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::{broker::Broker, run_until};

/// What all threads of this process have logged.
fn log() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    struct Writer(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Arc::clone(&log);
        let levels = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::DEBUG);
        levels.with_writer(move || Writer(Arc::clone(&writer))).init();
        log
    })
}

fn logged() -> String {
    String::from_utf8_lossy(&log().lock().unwrap()).into_owned()
}

/// A pipeline that counts messages.
fn counting(kafka: Kafka) -> (StreamingContext, Collected<u64>) {
    log();
    let counts = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).count().collect_to(&counts);
    })
    .unwrap();
    (ssc, counts)
}

/// Runs a pipeline until a line with all of these is logged; returns it.
fn until_logged(ssc: &StreamingContext, parts: &[&str]) -> String {
    let clock = Instant::now();
    loop {
        ssc.run_batches(1).unwrap();
        let logged = logged();
        if let Some(line) = logged.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
            return line.to_owned();
        }
        assert!(clock.elapsed().as_secs() < 60, "{parts:?} is not logged");
    }
}

fn start_error(kafka: Kafka) -> String {
    counting(kafka).0.run_batches(1).unwrap_err().to_string()
}

/// The error of the first batch of an output.
fn write_error(sink: KafkaSink<String>, text: &str) -> String {
    let text = text.to_owned();
    let ssc = dstream::stream!(batch = 1s, name = "mistake", {
        queue_stream(vec![vec![text]]).write_to(sink).named("out");
    })
    .unwrap();
    ssc.run_batches(1).unwrap_err().to_string()
}

fn sink(address: &str, topic: &str) -> KafkaSink<String> {
    Kafka::sink(address).topic(topic).value(|text: &String| text.clone())
}

/// A port on which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_broker_is_not_there() {
    let address = format!("127.0.0.1:{}", free_port());
    let (ssc, counts) = counting(Kafka::new(&address).topics(["lines"]));
    let line = until_logged(&ssc, &[&address, "the cluster does not answer: ", "WARN"]);
    assert!(line.contains("Connection refused"), "{line}");
    assert!(line.contains("is a broker listening at that address and port"), "{line}");
    assert!(line.contains("it is tried again"), "{line}");
    assert_eq!(counts.values().concat().iter().sum::<u64>(), 0);
    // A batch job waits for a limited time.
    let (job, _) = counting(Kafka::new(&address).topics(["lines"]).patience(Duration::from_secs(1)));
    let error = job.run_to_end().unwrap_err().to_string();
    assert!(
        error.contains("the cluster does not answer: ") && error.contains("Connection refused"),
        "{error}"
    );
}

#[test]
fn the_name_of_the_broker_is_misspelt() {
    let (ssc, _) = counting(Kafka::new("no-such-broker.invalid:9092").topics(["lines"]));
    let line = until_logged(&ssc, &["no-such-broker.invalid", "the cluster does not answer: ", "WARN"]);
    assert!(line.contains("the name of the broker can't be resolved: is it spelled right?"), "{line}");
}

#[test]
fn the_port_is_that_of_something_else() {
    // A server of another protocol: it answers, and ends the connection.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut connection in server.incoming().flatten() {
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (ssc, _) = counting(Kafka::new(&address).topics(["lines"]));
    let line = until_logged(&ssc, &[&address, "the cluster does not answer: ", "WARN"]);
    assert!(line.contains("does it speak the protocol of `security.protocol`?"), "{line}");
}

#[test]
fn the_topic_is_misspelt_or_the_pattern_matches_nothing() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("orders", 1);
    let (ssc, _) = counting(Kafka::new(broker.address()).topics(["ordres"]));
    until_logged(&ssc, &["there is no topic `ordres`: is it spelled right?; it is read when it is there"]);
    drop(ssc);
    let (ssc, _) = counting(Kafka::new(broker.address()).topics_matching("order"));
    let expected = "no topic matches the pattern `order`, which must match the whole name";
    until_logged(&ssc, &[&broker.address(), expected]);
    drop(ssc);
    // A batch job has nothing to wait for.
    let job = |kafka: Kafka| counting(kafka).0.run_to_end().unwrap_err().to_string();
    let error = job(Kafka::new(broker.address()).topics(["orders", "ordres"]));
    assert!(error.contains("there is no topic `ordres`: is it spelled right?"), "{error}");
    let error = job(Kafka::new(broker.address()).topics_matching("order"));
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_setting_is_misspelt_or_is_ours() {
    let kafka = || Kafka::new("127.0.0.1:9").topics(["lines"]);
    let error = start_error(kafka().option("fetch.min.byte", "1"));
    assert!(error.contains("`fetch.min.byte` is no setting of librdkafka: is it spelled right?"), "{error}");
    let error = start_error(kafka().option("session.timeout.ms", "hunter2"));
    assert!(error.contains("the option `session.timeout.ms` can't be set: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = start_error(kafka().option("group.id", "shop"));
    assert!(error.contains("the option `group.id` can't be set: use `.group(..)`"), "{error}");
    let error = write_error(sink("127.0.0.1:9", "out").option("transactional.id", "x"), "a");
    assert!(error.contains("`transactional.id` can't be set: use `.transactional()`"), "{error}");
    let error = write_error(sink("127.0.0.1:9", "out").option("compresion.type", "lz4"), "a");
    assert!(error.contains("`compresion.type` is no setting of librdkafka"), "{error}");
}

/// Reads one request of Kafka's protocol; returns its kind, version and number.
fn request(connection: &mut TcpStream) -> Option<(i16, i16, [u8; 4])> {
    let mut length = [0; 4];
    connection.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut body).ok()?;
    let short = |at: usize| i16::from_be_bytes([body[at], body[at + 1]]);
    Some((short(0), short(2), [body[4], body[5], body[6], body[7]]))
}

/// A broker that knows nobody: it asks for credentials and refuses all.
fn refuse_credentials(mut connection: TcpStream) {
    while let Some((kind, version, number)) = request(&mut connection) {
        let mut answer = number.to_vec();
        match (kind, version) {
            // Which requests there are: SaslHandshake 0 to 1, ApiVersions 0, Metadata 0, SaslAuthenticate 0.
            (18, 0) => {
                answer.extend([0, 0, 0, 0, 0, 4]);
                for [kind, first, last] in [[17u8, 0, 1], [18, 0, 0], [3, 0, 0], [36, 0, 0]] {
                    answer.extend([0, kind, 0, first, 0, last]);
                }
            }
            (18, _) => answer.extend([0, 35, 0, 0, 0, 0]),
            (17, _) => {
                answer.extend([0, 0, 0, 0, 0, 1, 0, 5]);
                answer.extend(b"PLAIN");
            }
            _ => {
                answer.extend([0, 58, 0, 16]);
                answer.extend(b"who are you, ann");
                answer.extend([0; 4]);
            }
        }
        let length = (answer.len() as u32).to_be_bytes();
        if connection.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

#[test]
fn the_credentials_are_wrong() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    thread::spawn(move || {
        server
            .incoming()
            .flatten()
            .for_each(|connection| drop(thread::spawn(|| refuse_credentials(connection))));
    });
    let kafka = Kafka::new(&address)
        .topics(["lines"])
        .option("security.protocol", "SASL_PLAINTEXT")
        .option("sasl.mechanism", "PLAIN")
        .option("sasl.username", "ann")
        .option("sasl.password", "hunter2")
        .option("debug", "all");
    let (ssc, _) = counting(kafka);
    let line = until_logged(&ssc, &[&address, "the cluster does not answer: ", "who are you, ann"]);
    assert!(line.contains("the broker refuses the credentials: look at `sasl.mechanism`"), "{line}");
    // The secret is in no line of the log, though the client tells all that it does.
    drop(ssc);
    assert!(!logged().contains("hunter2"), "{:?}", logged().lines().find(|line| line.contains("hunter2")));
}

#[test]
fn a_group_is_used_by_two_programs() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 1);
    broker.produce("lines", 0, ["x"; 10]);
    let kafka = || {
        let kafka = Kafka::new(broker.address()).topics(["lines"]).group("shop");
        kafka.refresh_interval(Duration::from_millis(100))
    };
    let (first, counts) = counting(kafka());
    run_until(&first, || counts.values().concat().iter().sum::<u64>() >= 10);
    // Somebody else commits another offset.
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("lines", 0, rdkafka::Offset::Offset(3)).unwrap();
    let clock = Instant::now();
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    let other: BaseConsumer = broker.client().set("group.id", "shop").create().unwrap();
    while !logged().contains("another program commits offsets for the group `shop`") {
        assert!(clock.elapsed().as_secs() < 60, "{}", logged());
        other.commit(&list, CommitMode::Sync).unwrap();
        first.run_batches(1).unwrap();
    }
    until_logged(&first, &["that of lines/0 is 3, this program has committed 10; give each program a group"]);
}

#[test]
fn two_programs_with_one_group_are_told() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("shared", 1);
    broker.produce("shared", 0, ["x"; 20]);
    let kafka = || {
        let kafka = Kafka::new(broker.address()).topics(["shared"]).group("both").start(Start::Earliest);
        kafka.refresh_interval(Duration::from_millis(50))
    };
    let (fast, all) = counting(kafka());
    let (slow, some) = counting(kafka().max_per_partition(1));
    run_until(&fast, || all.values().concat().iter().sum::<u64>() >= 20);
    // The other one is behind, and commits smaller offsets.
    let clock = Instant::now();
    while !logged().contains("another program commits offsets for the group `both`") {
        assert!(clock.elapsed().as_secs() < 60, "{}", logged());
        slow.run_batches(1).unwrap();
        if some.values().concat().iter().sum::<u64>() >= 20 {
            broker.produce("shared", 0, ["x"; 20]);
        }
        fast.run_batches(1).unwrap();
    }
    until_logged(&fast, &["`both`", "of shared/0 is ", "; give each program a group of its own"]);
}

#[test]
fn a_transactional_id_is_used_by_two_programs() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("out", 1);
    let other = |address: String| {
        let mut config = broker.client();
        config.set("bootstrap.servers", address).set("transactional.id", "twice/out");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Duration::from_secs(30)).unwrap();
        producer
    };
    let to = sink(&broker.address(), "out").transactional();
    let ssc = dstream::stream!(batch = 1s, name = "twice", {
        let words = queue_stream(vec![vec!["a".to_owned()], vec!["b".to_owned()]]);
        words.write_to(to).named("out");
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    let _newer = other(broker.address());
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("another producer uses the transactional id `twice/out`"), "{error}");
    assert!(error.contains("is the program started twice"), "{error}");
}

#[test]
fn a_message_is_too_large() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("out", 1);
    let large = "x".repeat(1_200_000);
    let error = write_error(sink(&broker.address(), "out"), &large);
    let expected = "a message of 1200000 bytes is too large for the topic `out`: raise `message.max.bytes`";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_sink_has_no_topic_or_no_broker() {
    let error = write_error(sink("127.0.0.1:9", ""), "a");
    assert!(error.contains("no topic is named: add `.topic(\"name\")`"), "{error}");
    let address = format!("127.0.0.1:{}", free_port());
    let error = write_error(sink(&address, "out"), "a");
    assert!(error.contains("Connection refused") && error.contains("is a broker listening"), "{error}");
}

#[test]
fn secrets_are_in_no_debug_text() {
    let source = Kafka::new("b:9092").topics(["t"]).option("sasl.password", "hunter2").start(Start::Latest);
    let sink = sink("b:9092", "t").option("sasl.password", "hunter2");
    for shown in [format!("{source:?}"), format!("{:?}", kafka_stream(source.clone())), format!("{sink:?}")] {
        assert!(!shown.contains("hunter2") && shown.contains("b:9092"), "{shown}");
    }
}
