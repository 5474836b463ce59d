//! A real broker in a process of its own, which tests start, kill and start again.

use std::{
    collections::BTreeSet,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

pub(crate) struct Broker {
    binary: PathBuf,
    /// It keeps its data in its working directory.
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    /// Starts a broker. Where none can be installed, says so and returns `None`: the test is skipped.
    pub(crate) fn start() -> Option<Broker> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/kafka");
        std::fs::create_dir_all(cache.parent()?).ok()?;
        // One test installs, the others wait.
        let lock = File::create(cache.with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../kafka/tests/install.sh");
        let installed = Command::new("bash").arg(script).arg(&cache).output().ok()?;
        drop(lock);
        let binary = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
        if !installed.status.success() || !binary.is_file() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            writeln_stderr(&format!("SKIPPED: no Kafka broker can be installed here: {why}"));
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let folder = tempfile::tempdir().ok()?;
        let mut broker = Broker { binary, folder, port, process: None };
        broker.restart();
        Some(broker)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it with the data that it has, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        let log = File::create(self.folder.path().join("log.txt")).unwrap();
        let process = Command::new(&self.binary)
            .args(["start", "--only", "kafka", "--kafka-port", &self.port.to_string()])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let client: BaseConsumer = self.client().create().unwrap();
        let answers = |_: &u32| client.fetch_metadata(None, Duration::from_secs(1)).is_ok();
        assert!((0..60).any(|attempt| answers(&attempt)), "the broker does not answer");
    }

    /// Stops it in peace: this broker has on its disk what it has acknowledged only after a while.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let stopped = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
            assert!(stopped.success());
            process.wait().unwrap();
        }
    }

    /// Waits until it has saved what it was given, on a thread that takes a whole core while it does.
    #[allow(dead_code, reason = "measurements use it")]
    pub(crate) fn wait_until_idle(&self) {
        let process = self.process.as_ref().expect("it runs").id();
        // User and system time of all its threads, in hundredths of a second.
        let used = || {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        };
        for _ in 0..120 {
            let before = used();
            std::thread::sleep(Duration::from_millis(500));
            if used() - before <= 2 {
                return;
            }
        }
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("group.id", "test");
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = pollster::block_on(self.admin().create_topics([&topic], &AdminOptions::new())).unwrap();
        created.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    pub(crate) fn add_partitions(&self, name: &str, partitions: usize) {
        let more = NewPartitions::new(name, partitions);
        let made = pollster::block_on(self.admin().create_partitions([&more], &AdminOptions::new())).unwrap();
        made.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    pub(crate) fn delete_topic(&self, name: &str) {
        let gone = pollster::block_on(self.admin().delete_topics(&[name], &AdminOptions::new())).unwrap();
        gone.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    /// Produces values, and waits until the broker has them.
    pub(crate) fn produce<V: AsRef<[u8]>>(
        &self,
        topic: &str,
        partition: i32,
        values: impl IntoIterator<Item = V>,
    ) {
        let producer: BaseProducer = self.client().set("message.max.bytes", "2000000").create().unwrap();
        for value in values {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_ref());
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// The values of each partition of a topic that a reader of committed messages sees.
    pub(crate) fn read(&self, topic: &str, partitions: i32) -> Vec<Vec<String>> {
        let mut config = self.client();
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut values = vec![Vec::new(); partitions as usize];
        let mut ended = BTreeSet::new();
        while ended.len() < values.len() {
            match consumer.poll(Duration::from_secs(30)).expect("the broker answers") {
                Ok(message) => {
                    let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    values[message.partition() as usize].push(value);
                }
                Err(KafkaError::PartitionEOF(partition)) => drop(ended.insert(partition)),
                Err(error) => panic!("{error}"),
            }
        }
        values
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
fn writeln_stderr(text: &str) {
    eprintln!("{text}");
}
