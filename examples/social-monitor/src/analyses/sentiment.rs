//! How people feel, by the words that they use.
//!
//! It shows: means, which are made of sums and counts since only those can be put together; and `top` by
//! something that is computed.

use std::{collections::HashMap, sync::LazyLock};

use dstream::prelude::*;

use super::Posts;
use crate::{post::Post, words::LEXICON};

static SCORES: LazyLock<HashMap<&str, i32>> = LazyLock::new(|| HashMap::from(LEXICON));

/// The sum of the scores of all words of a post; `None` if it has no word with a feeling.
fn score(post: &Post) -> Option<i32> {
    post.words().filter_map(|word| SCORES.get(word)).copied().reduce(|a, b| a + b)
}

fn mean(sum: i32, n: u32) -> f64 {
    f64::from(sum) / f64::from(n)
}

pub(super) fn sentiment(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<()> {
    dstream::stream!(ssc, name = "sentiment", {
        let scored = posts.filter_map(|post| Some((score(&post)?, post)));

        let all = scored.map(|(score, _)| (score, 1u32)).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        all.map(|(sum, n)| mean(sum, n)).dashboard("Sentiment", Chart::line().unit("-3 to 3"));

        let tags = scored
            .flat_map(|(score, post)| post.hashtags().into_iter().map(move |tag| (tag, (score, 1u32))))
            .reduce_by_key_and_window(|a, b| (a.0 + b.0, a.1 + b.1), 60s, 10s)
            .filter(|(_, (_, n))| *n >= 20)
            .map(|(tag, (sum, n))| (tag, (mean(sum, n) * 100.0).round() / 100.0, n));
        let saddest = tags.top(10, |(_, mean, _)| (-mean * 100.0) as i64);
        saddest.dashboard("Saddest hashtags", Chart::table().columns(["hashtag", "sentiment", "posts"]));
    })?;
    Ok(())
}
