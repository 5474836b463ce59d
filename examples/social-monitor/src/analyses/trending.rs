//! The hashtags of the last minute.
//!
//! It shows: a sliding window. What enters it is added and what leaves it is taken away, so a minute costs no
//! more than the batches that come and go.

use dstream::prelude::*;

use super::Posts;

pub(super) fn trending(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<()> {
    dstream::stream!(ssc, name = "trending", {
        let tags = posts.flat_map(|post| post.hashtags());
        let trending = tags.count_by_value_and_window(60s, 2s);
        trending.dashboard("Trending hashtags", Chart::bar().top(15).unit("posts"));
    })?;
    Ok(())
}
