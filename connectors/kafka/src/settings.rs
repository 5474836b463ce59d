//! Which topics are read, from where on, and how.

use std::{collections::BTreeMap, fmt, time::Duration};

use dstream_core::{Error, Result, Time};
use rdkafka::ClientConfig;
use regex_lite::Regex;

use crate::options::{OF_SOURCE, Options};

/// The settings of a Kafka source, see [`kafka_stream`](crate::kafka_stream).
///
/// ```no_run
/// use dstream_kafka::{Kafka, Start, kafka_stream};
///
/// let orders = Kafka::new("broker-1:9092,broker-2:9092")
///     .topics(["orders", "returns"])
///     .group("shop")
///     .start(Start::Earliest)
///     .option("security.protocol", "SASL_SSL");
/// let stream = kafka_stream(orders);
/// ```
#[derive(Clone)]
pub struct Kafka {
    pub(crate) brokers: String,
    pub(crate) topics: Topics,
    pub(crate) group: Option<String>,
    pub(crate) start: Start,
    pub(crate) on_loss: OnLoss,
    pub(crate) buffer_bytes: usize,
    pub(crate) max_per_partition: Option<u64>,
    pub(crate) readers: usize,
    pub(crate) refresh: Duration,
    pub(crate) patience: Duration,
    pub(crate) options: Options,
}

#[derive(Clone, Debug)]
pub(crate) enum Topics {
    Named(Vec<String>),
    Pattern(String),
}

/// Where a partition is read from that neither a checkpoint nor an earlier batch has a position of.
///
/// A partition that is added to a topic while the program runs is read from its beginning, whatever is set
/// here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// From the first message that the broker still has.
    Earliest,
    /// From what is produced after the start of the program.
    Latest,
    /// From what the [group](Kafka::group) has committed; where it has committed nothing, from the first
    /// message.
    Committed,
    /// From the first message at this time or later.
    Timestamp(Time),
    /// From these offsets, by topic and partition; other partitions from the first message.
    Offsets(BTreeMap<(String, i32), i64>),
}

/// What happens if messages that no batch has had are gone: they have expired, or their topic was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLoss {
    /// Every batch fails, with the range that is lost, until the program is changed.
    Fail,
    /// The stream goes on with the first message that is there. How many are lost is reported.
    Skip,
}

impl Kafka {
    /// Reads from the cluster that one of these brokers belongs to: `host:port`, several with commas between.
    pub fn new(brokers: impl Into<String>) -> Kafka {
        Kafka {
            brokers: brokers.into(),
            topics: Topics::Named(Vec::new()),
            group: None,
            start: Start::Committed,
            on_loss: OnLoss::Fail,
            buffer_bytes: 64 << 20,
            max_per_partition: None,
            readers: 1,
            refresh: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            options: Options::default(),
        }
    }

    /// Reads these topics. One that does not exist yet is read from the moment when it does.
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Kafka {
        self.topics = Topics::Named(topics.into_iter().map(Into::into).collect());
        self
    }

    /// Reads every topic whose whole name matches this regular expression, also one that is made later.
    pub fn topics_matching(mut self, pattern: impl Into<String>) -> Kafka {
        self.topics = Topics::Pattern(pattern.into());
        self
    }

    /// The consumer group under which offsets are committed when their batch is done: for tools that show the
    /// lag, and for [`Start::Committed`]. Default: none is committed.
    pub fn group(mut self, group: impl Into<String>) -> Kafka {
        self.group = Some(group.into());
        self
    }

    /// Where partitions are read from at first. Default: [`Start::Committed`].
    pub fn start(mut self, start: Start) -> Kafka {
        self.start = start;
        self
    }

    /// What happens if messages are gone before they were read. Default: [`OnLoss::Fail`].
    pub fn on_loss(mut self, on_loss: OnLoss) -> Kafka {
        self.on_loss = on_loss;
        self
    }

    /// How many bytes of messages are held that no batch has processed yet: what is read ahead. A batch has
    /// no more than this, so it also bounds what a batch takes. Default: 64 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Kafka {
        self.buffer_bytes = bytes;
        self
    }

    /// How many messages of one partition a batch may have. Default: no limit.
    pub fn max_per_partition(mut self, messages: u64) -> Kafka {
        self.max_per_partition = Some(messages);
        self
    }

    /// How many threads read, each with a client of its own; partitions are shared out over them. Default: 1.
    pub fn readers(mut self, readers: usize) -> Kafka {
        self.readers = readers;
        self
    }

    /// How often the cluster is asked for new topics and partitions. Default: 10 seconds.
    pub fn refresh_interval(mut self, interval: Duration) -> Kafka {
        self.refresh = interval;
        self
    }

    /// How long a range of offsets is waited for, before its batch fails: by a batch that runs again, which
    /// the broker must give its messages once more, and by a batch job. A running stream waits for ever.
    /// Default: one minute.
    pub fn patience(mut self, patience: Duration) -> Kafka {
        self.patience = patience;
        self
    }

    /// A setting of librdkafka by its own name, such as `security.protocol` or `sasl.password`. Values that
    /// are secret are not shown in any message.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Kafka {
        self.options.insert(name.into(), value.into());
        self
    }

    /// How messages name the stream.
    pub(crate) fn name(&self) -> String {
        let topics = match &self.topics {
            Topics::Named(topics) => topics.join(","),
            Topics::Pattern(pattern) => format!("/{pattern}/"),
        };
        format!("kafka_stream({}/{topics})", self.brokers)
    }

    /// Which topics of a cluster are read.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let refused = |message: String| Err(Error::Invalid(format!("`{}`: {message}", self.name())));
        if let Err(message) = self.options.check(OF_SOURCE) {
            return refused(message);
        }
        match &self.topics {
            _ if self.readers == 0 => refused("`readers` is 0, but must be at least 1".into()),
            _ if self.buffer_bytes == 0 => refused("`buffer_bytes` is 0, but must be at least 1".into()),
            Topics::Named(topics) if topics.is_empty() => refused(
                "no topic is named: add `.topics([\"name\"])` or `.topics_matching(\"pattern\")`".into(),
            ),
            Topics::Named(topics) => Ok(Selection::Named(topics.clone())),
            Topics::Pattern(pattern) => match Regex::new(&format!("^(?:{pattern})$")) {
                Ok(regex) => Ok(Selection::Pattern { text: pattern.clone(), regex }),
                Err(error) => refused(format!("`{pattern}` is not a regular expression: {error}")),
            },
        }
    }

    /// The settings of a client that reads.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_with("16384")
    }

    /// The settings of a client that reads ranges, and is told where a partition ends. Several read at a
    /// time, so that each fetches less ahead.
    pub(crate) fn range_client(&self) -> ClientConfig {
        let mut config = self.client_with("4096");
        config.set("enable.partition.eof", "true");
        config
    }

    fn client_with(&self, queued_kbytes: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "dstream")
            .set("group.id", self.group.as_deref().unwrap_or("dstream"))
            // librdkafka waits that long when its own buffer is full before it fetches again.
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", queued_kbytes);
        self.options.apply(&mut config);
        // What the source depends on comes last.
        config
            .set("bootstrap.servers", &self.brokers)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        config
    }
}

/// The topics of a cluster that are read.
pub(crate) enum Selection {
    Named(Vec<String>),
    Pattern { text: String, regex: Regex },
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("group", &self.group)
            .field("start", &self.start)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_can_not_work_are_refused() {
        let refusal =
            |kafka: Kafka| kafka.selection().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal(Kafka::new("b:9092")).contains("no topic is named: add `.topics"));
        assert!(
            refusal(Kafka::new("b:9092").topics_matching("a(")).contains("`a(` is not a regular expression")
        );
        assert!(refusal(Kafka::new("b:9092").topics(["t"]).readers(0)).contains("`readers` is 0"));
        let owned = Kafka::new("b:9092").topics(["t"]).option("auto.offset.reset", "earliest");
        let refused = "the option `auto.offset.reset` can't be set: use `.start(..)` and `.on_loss(..)`";
        assert!(refusal(owned).contains(refused));
        assert_eq!(refusal(Kafka::new("b:9092").topics(["t"])), "");
    }
}
