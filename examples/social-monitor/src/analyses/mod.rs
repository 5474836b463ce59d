//! The analyses: each is a function that adds a pipeline to the context, in a file of its own.

mod alerts;
mod anomalies;
mod bots;
mod keywords;
mod links;
mod places;
mod retweets;
mod sentiment;
mod stories;
mod trending;

use std::sync::Arc;

use dstream::prelude::*;

pub use alerts::Alert;

use crate::post::Post;

/// The stream that all analyses read. They share each post.
pub type Posts = StreamHandle<Arc<Post>>;

/// Adds all analyses to the context of `posts`. `words` are tracked. Gives all alerts.
pub fn add_all(
    ssc: &StreamingContext,
    posts: &Posts,
    words: &[String],
) -> dstream::Result<StreamHandle<Alert>> {
    dstream::stream!(ssc, name = "volume", {
        posts.count().dashboard("Posts a second", Chart::line().unit("posts"));
    })?;
    keywords::keywords(ssc, posts, words.to_vec())?;
    trending::trending(ssc, posts)?;
    places::places(ssc, posts)?;
    sentiment::sentiment(ssc, posts)?;
    links::links(ssc, posts)?;
    retweets::retweets(ssc, posts)?;
    let stories = stories::stories(ssc, posts)?;
    let bots = bots::bots(ssc, posts)?;
    let anomalies = anomalies::anomalies(ssc, posts)?;
    alerts::alerts(ssc, &stories, &bots, &anomalies)
}
