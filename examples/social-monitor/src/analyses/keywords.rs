//! Words that somebody wants to follow.
//!
//! It shows: a filter with a setting that the closure captures, a count by key, a line for each key, and
//! totals that are state. They go on after a restart.

use dstream::prelude::*;

use super::Posts;

pub(super) fn keywords(ssc: &StreamingContext, posts: &Posts, words: Vec<String>) -> dstream::Result<()> {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    dstream::stream!(ssc, name = "keywords", {
        let found = posts.flat_map(|post| {
            let text = post.text.to_lowercase();
            words.iter().filter(|word| text.contains(word.as_str())).cloned().collect::<Vec<_>>()
        });
        let counts = found.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
        counts.dashboard("Tracked words", Chart::line().unit("posts"));

        let totals = counts
            .update_state_by_key(|new: &[u64], total| Some(total.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.dashboard("Tracked words since the start", Chart::bar().unit("posts"));
    })?;
    Ok(())
}
