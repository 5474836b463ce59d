//! Connections with TLS and credentials, to a real broker and a real database: what is written and read, what
//! is said if they can't be made, and that no secret is in any of it.

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../../kafka/tests/kafka/broker.rs"]
mod broker;
#[path = "tls/proxy.rs"]
mod proxy;
#[path = "../../postgres/tests/postgres/server.rs"]
mod server;

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use broker::Broker;
use dstream::{
    StreamingContext,
    kafka::{Kafka, KafkaSink, Start, kafka_stream},
    postgres::Postgres,
    prelude::*,
};
use proxy::Proxy;
use server::Server;

const PASSWORD: &str = "hunter2-of-ann";

/// What all threads of this process have logged, whatever the level.
fn log() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    struct Writer(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Arc::clone(&log);
        let lines = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
        lines.with_writer(move || Writer(Arc::clone(&writer))).init();
        log
    })
}

fn logged() -> String {
    String::from_utf8_lossy(&log().lock().unwrap()).into_owned()
}

fn assert_no_secret(text: &str) {
    let line = text.lines().find(|line| line.contains(PASSWORD));
    assert_eq!(line, None);
}

/// All that a client needs to be let in.
fn let_in(ca: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("security.protocol", "SASL_SSL".into()),
        ("sasl.mechanism", "PLAIN".into()),
        ("sasl.username", "ann".into()),
        ("sasl.password", PASSWORD.into()),
        ("ssl.ca.location", ca.display().to_string()),
        // It tells all that it does.
        ("debug", "all".into()),
    ]
}

fn source(proxy: &Proxy, options: &[(&'static str, String)]) -> Kafka {
    let kafka = Kafka::new(proxy.address()).topics(["lines"]).start(Start::Earliest).group("tls");
    options.iter().fold(kafka, |kafka, (name, value)| kafka.option(*name, value))
}

/// Counts the messages of a topic, and writes each count to another.
fn counting(kafka: Kafka, sink: KafkaSink<u64>) -> (StreamingContext, Collected<u64>) {
    log();
    let counts = Collected::new();
    let ssc = dstream::stream!(batch = 1s, name = "tls", {
        let count = kafka_stream(kafka).count();
        count.collect_to(&counts);
        count.write_to(sink).named("out");
    })
    .unwrap();
    (ssc, counts)
}

fn sink(proxy: &Proxy, options: &[(&'static str, String)]) -> KafkaSink<u64> {
    let sink = Kafka::sink(proxy.address()).topic("counts").value(|n: &u64| n.to_string());
    options.iter().fold(sink, |sink, (name, value)| sink.option(*name, value)).transactional()
}

/// What is logged of a source that can't connect.
fn warning(proxy: &Proxy, options: &[(&'static str, String)]) -> String {
    log();
    let kafka = source(proxy, options);
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).foreach_rdd(|_| ());
    })
    .unwrap();
    let begun = Instant::now();
    loop {
        ssc.run_batches(1).unwrap();
        let logged = logged();
        let said = |line: &&str| {
            line.contains("WARN")
                && line.contains(&proxy.address())
                && line.contains("the cluster does not answer: ")
        };
        if let Some(line) = logged.lines().find(said) {
            return line.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is said: {logged}");
    }
}

#[test]
fn a_topic_is_read_and_written_with_tls_and_credentials() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 2);
    broker.create_topic("counts", 1);
    broker.produce("lines", 0, ["x"; 10]);
    broker.produce("lines", 1, ["x"; 5]);
    let proxy = Proxy::start(&broker, "ann", PASSWORD);
    let options = let_in(proxy.certificate());
    let (ssc, counts) = counting(source(&proxy, &options), sink(&proxy, &options));
    let begun = Instant::now();
    while counts.values().concat().iter().sum::<u64>() < 15 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing comes: {}", logged());
        ssc.run_batches(1).unwrap();
    }
    ssc.stop();
    let written: u64 = broker.read("counts", 1).concat().iter().map(|n| n.parse::<u64>().unwrap()).sum();
    assert_eq!(written, 15);
    assert!(proxy.connections() > 0);
    // The client has told of its connections, but not what they were made with.
    assert!(logged().contains("sasl"), "{}", logged());
    assert_no_secret(&logged());
}

#[test]
fn what_keeps_a_broker_from_letting_somebody_in_is_said_without_the_secret() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 1);
    let wrong = Proxy::start(&broker, "ann", "another");
    let line = warning(&wrong, &let_in(wrong.certificate()));
    assert!(line.contains("the broker refuses the credentials: look at `sasl.mechanism`"), "{line}");
    // An authority that has not signed the certificate.
    let unknown = Proxy::start(&broker, "ann", PASSWORD);
    let line = warning(&unknown, &let_in(wrong.certificate()));
    assert!(line.contains("look at `ssl.ca.location` and the names in the certificate"), "{line}");
    // No TLS, where the broker wants it.
    let plain = Proxy::start(&broker, "ann", PASSWORD);
    let line = warning(&plain, &[]);
    assert!(line.contains("does it speak the protocol of `security.protocol`?"), "{line}");
    // An authority that is not there is found at the start.
    let kafka = source(&plain, &let_in(Path::new("/no/such/ca.pem")));
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).foreach_rdd(|_| ());
    })
    .unwrap();
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("the option `ssl.ca.location` can't be used: is its file there"), "{error}");
    assert_no_secret(&error);
    assert_no_secret(&logged());
}

fn write(sink: Postgres) -> dstream::Result<()> {
    log();
    // Each is an application of its own, so that two may write in the same second.
    static PROGRAMS: AtomicU32 = AtomicU32::new(0);
    let name = format!("tls-{}", PROGRAMS.fetch_add(1, Ordering::Relaxed));
    let ssc = dstream::stream!(batch = 1s, name = name, {
        queue_stream(vec![vec![("be".to_owned(), 2i64)]]).write_to(sink).named("table");
    })?;
    ssc.run_batches(1)
}

#[test]
fn a_database_is_written_to_with_tls() {
    let Some(mut server) = Server::start() else { return };
    server.run(&format!("CREATE ROLE ann LOGIN SUPERUSER PASSWORD '{PASSWORD}'"));
    let port = server.port();
    let at = |host: &str, more: &str| {
        let sink = Postgres::new(format!("postgres://ann:{PASSWORD}@{host}:{port}/postgres{more}"));
        let setup = "CREATE TABLE IF NOT EXISTS counts (word text, n bigint); \
                     DROP TABLE IF EXISTS used; \
                     CREATE TABLE used AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        sink.setup(setup).table("counts")
    };
    // A server without TLS.
    let error = write(at("127.0.0.1", "?sslmode=require")).unwrap_err().to_string();
    assert!(error.contains("error performing TLS handshake: server does not support TLS"), "{error}");
    assert!(error.contains("does the server have TLS"), "{error}");
    assert_no_secret(&error);
    write(at("127.0.0.1", "")).unwrap();
    assert_eq!(server.rows("SELECT ssl FROM used"), ["f"]);

    let certificate = server.with_tls();
    write(at("127.0.0.1", "?sslmode=require").ca_file(&certificate)).unwrap();
    assert_eq!(server.rows("SELECT ssl FROM used"), ["t"]);
    assert_eq!(server.rows("SELECT count(*) FROM counts"), ["2"]);
    // An authority that is not known, and a name that is not in the certificate.
    for sink in
        [at("127.0.0.1", "?sslmode=require"), at("localhost", "?sslmode=require").ca_file(&certificate)]
    {
        let error = write(sink).unwrap_err().to_string();
        assert!(error.contains("error performing TLS handshake"), "{error}");
        assert!(error.contains("a known authority (`.ca_file(..)`)"), "{error}");
        assert_no_secret(&error);
    }
    let error = write(at("127.0.0.1", "").ca_file("/no/such/ca.pem")).unwrap_err().to_string();
    assert!(error.contains("the certificates in `/no/such/ca.pem` can't be read"), "{error}");
    assert_no_secret(&error);
    assert_no_secret(&logged());
}
