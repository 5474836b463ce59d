//! Where the posts come from. Each of these publishes the stream that the analyses read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dstream::prelude::*;

use crate::{analyses::Posts, feed::Feed, post::Post};

/// Posts that are made up, so many in each batch of a second.
pub fn generated(conf: Config, feed: Feed) -> dstream::Result<(StreamingContext, Posts)> {
    dstream::stream!(batch = 1s, name = "social-monitor", conf = conf, {
        let posts = generator_stream(feed.posts_per_second, move |n| feed.post(n)).named("posts");
        posts.map(|post| Arc::new(post))
    })
}

/// Posts as lines of JSON, from clients that connect to this address.
pub fn listen(conf: Config, address: &str) -> dstream::Result<(StreamingContext, Posts)> {
    let bad = AtomicU64::new(0);
    dstream::stream!(batch = 1s, name = "social-monitor", conf = conf, {
        let lines = listen_text_stream(address);
        lines.filter_map(|line| parse(line.as_bytes(), &bad))
    })
}

/// Posts as messages of JSON, from a topic of Kafka.
#[cfg(feature = "kafka")]
pub fn kafka(conf: Config, brokers: &str, topic: &str) -> dstream::Result<(StreamingContext, Posts)> {
    use dstream::kafka::{Kafka, kafka_stream};

    let bad = AtomicU64::new(0);
    let messages = Kafka::new(brokers).topics([topic]).group("social-monitor");
    dstream::stream!(batch = 1s, name = "social-monitor", conf = conf, {
        let messages = kafka_stream(messages);
        messages.filter_map(|message| parse(message.value().unwrap_or_default(), &bad))
    })
}

/// A post, or `None` if this is none: that is logged, each time that their number has doubled.
fn parse(json: &[u8], bad: &AtomicU64) -> Option<Arc<Post>> {
    match serde_json::from_slice::<Post>(json) {
        Ok(post) => Some(Arc::new(post)),
        Err(error) => {
            let n = bad.fetch_add(1, Ordering::Relaxed) + 1;
            if n.is_power_of_two() {
                tracing::warn!(
                    "{n} lines so far are no posts, such as {:?}: {error}",
                    String::from_utf8_lossy(json)
                );
            }
            None
        }
    }
}
