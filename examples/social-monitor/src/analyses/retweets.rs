//! Trees of retweets: who repeats whom, how far it spreads and how deep.
//!
//! It shows: `map_with_state`, a state of any shape for each key, which is forgotten when nothing comes for
//! it; and the states themselves as a stream.

use std::collections::HashMap;

use dstream::prelude::*;
use serde::{Deserialize, Serialize};

use super::Posts;

/// The retweets of one post, and theirs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Record)]
struct Tree {
    author: String,
    /// How far each retweet is from the root.
    depths: HashMap<u64, u32>,
    deepest: u32,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize, Deserialize, Record)]
struct Row {
    post: u64,
    author: String,
    retweets: usize,
    deepest: u32,
}

pub(super) fn retweets(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<()> {
    dstream::stream!(ssc, name = "retweets", {
        let retweets = posts.filter_map(|post| {
            let retweet = post.retweet.clone()?;
            Some((retweet.root, (post.id, retweet.of, retweet.author)))
        });
        // A tree is kept until no retweet has come for a minute: it is done then, and its size is told.
        let (done, trees) = retweets.map_with_state(
            |_root, retweet: Option<(u64, u64, String)>, tree: &mut State<Tree>| {
                let Some((id, of, author)) = retweet else {
                    return tree.get().map(|tree| tree.depths.len() as u64);
                };
                let mut grown = tree.get().cloned().unwrap_or_default();
                let depth = grown.depths.get(&of).unwrap_or(&0) + 1;
                grown.author = author;
                grown.depths.insert(id, depth);
                grown.deepest = grown.deepest.max(depth);
                tree.update(grown);
                None
            },
            timeout = 60s,
        );
        let largest = trees.top(10, |(_, tree)| tree.depths.len()).map(|(root, tree)| Row {
            post: root,
            author: tree.author,
            retweets: tree.depths.len(),
            deepest: tree.deepest,
        });
        largest.dashboard("Largest retweet trees", Chart::table());
        done.reduce(|a, b| a.max(b)).dashboard("Largest tree that is done", Chart::number().unit("retweets"));
    })?;
    Ok(())
}
