//! Likely bots: accounts that post a lot, the same text again and again, with a link in it.
//!
//! It shows: a window over a value with parts, which is put together by a function of its own; and state that
//! remembers what was already said.

use std::collections::BTreeSet;

use dstream::{Time, prelude::*};
use serde::{Deserialize, Serialize};

use super::{Alert, Posts};
use crate::post::Post;

/// Fewer posts a minute say nothing.
const AT_LEAST: u32 = 10;
/// From which score on an account is called a bot.
const LIKELY: f64 = 0.8;

/// What a user has done.
#[derive(Debug, Clone, Serialize, Deserialize, Record)]
struct Activity {
    posts: u32,
    with_links: u32,
    /// The different texts, without what such programs vary: numbers and links.
    texts: BTreeSet<String>,
}

impl Activity {
    fn of(post: &Post) -> Activity {
        let text = post.words().collect::<Vec<_>>().join(" ").replace(|c: char| c.is_ascii_digit(), "");
        Activity {
            posts: 1,
            with_links: u32::from(!post.links().is_empty()),
            texts: BTreeSet::from([text.chars().take(40).collect()]),
        }
    }

    fn and(mut self, mut other: Activity) -> Activity {
        self.texts.append(&mut other.texts);
        Activity { posts: self.posts + other.posts, with_links: self.with_links + other.with_links, ..self }
    }

    /// From 0, a person, to 1: the mean of the shares of repeated texts and of links.
    fn score(&self) -> f64 {
        let share = |n: u32| f64::from(n) / f64::from(self.posts);
        (1.0 - share(self.texts.len() as u32 - 1) + share(self.with_links)) / 2.0
    }
}

/// A row of the table.
#[derive(Debug, Clone, Serialize, Deserialize, Record)]
struct Suspect {
    user: String,
    score: f64,
    posts: u32,
    texts: usize,
}

pub(super) fn bots(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<StreamHandle<Alert>> {
    dstream::stream!(ssc, name = "bots", {
        // Retweets are somebody else's text.
        let own = posts.filter(|post| post.retweet.is_none());
        let activity = own.map(|post| (post.user.clone(), Activity::of(&post))).reduce_by_key_and_window(
            |a, b| a.and(b),
            60s,
            5s,
        );
        let suspects = activity
            .filter(|(_, activity)| activity.posts >= AT_LEAST && activity.score() >= LIKELY)
            .map(|(user, activity)| Suspect {
                user,
                score: (activity.score() * 100.0).round() / 100.0,
                posts: activity.posts,
                texts: activity.texts.len(),
            });
        suspects.top(10, |suspect| suspect.posts).dashboard("Likely bots", Chart::table());

        // Each is told once, and again when it has been quiet for ten minutes.
        let (alerts, _) = suspects.map(|suspect| (suspect.user.clone(), suspect)).map_with_state(
            |_time: Time, user, suspect: Option<Suspect>, told: &mut State<bool>| {
                let suspect = suspect?;
                let is_new = !told.exists();
                told.update(true);
                is_new.then(|| Alert {
                    kind: "bot".into(),
                    about: user.clone(),
                    detail: format!("{} posts in a minute, with {} texts", suspect.posts, suspect.texts),
                })
            },
            timeout = 10min,
        );
        alerts
    })
}
