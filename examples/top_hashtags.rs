//! The most frequent hashtags of each batch.
//!
//! `cargo run --example top_hashtags`

use dstream::prelude::*;

fn main() -> dstream::Result<()> {
    let tweets = vec![
        vec!["learning #rust today", "#rust and #streams", "more #streams please", "just #rust"],
        vec!["#monday again", "no tags here"],
    ];

    let ssc = dstream::stream!(batch = 1s, {
        let tweets = queue_stream(tweets);
        let tags = tweets.flat_map(|text| text.split_whitespace()).filter(|word| word.starts_with('#'));
        let top = tags
            .count_by_value()
            .transform(|rdd| rdd.sort_by(|(tag, n)| (std::cmp::Reverse(*n), tag.clone())));
        top.print(3);
    })?;
    ssc.run_batches(2)
}
