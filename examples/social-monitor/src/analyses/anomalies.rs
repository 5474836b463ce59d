//! Anomalies in retweets: a post that is repeated much more often than the most popular posts usually are.
//!
//! It shows: two aggregations one behind the other, and a state with a single key.

use std::time::Duration;

use dstream::{Time, prelude::*};

use super::{Alert, Posts};
use crate::history::History;

const INTERVAL: Duration = Duration::from_secs(5);
/// How surprising a count must be, in standard deviations, and how large.
const ANOMALY: (f64, u64) = (12.0, 20);

pub(super) fn anomalies(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<StreamHandle<Alert>> {
    dstream::stream!(ssc, name = "anomalies", {
        let retweets = posts.filter_map(|post| post.retweet.as_ref().map(|of| (of.root, of.author.clone())));
        let most = retweets.count_by_value_and_window(5s, 5s).top(1, |(_, n)| *n);
        most.map(|(_, n)| n).dashboard("Most repeated post", Chart::line().unit("retweets in 5 s"));

        let (alerts, _) = most.map(|most| ((), most)).map_with_state(
            |time: Time, (), most: Option<((u64, String), u64)>, history: &mut State<History>| {
                let ((post, author), count) = most?;
                let mut new = history.get().cloned().unwrap_or_default();
                let (surprise, least) = ANOMALY;
                let is_anomaly = new.is_known() && count >= least && new.surprise(count) >= surprise;
                let is_news = is_anomaly && new.report(time);
                // What is not normal does not change what is.
                if !is_anomaly {
                    new.add(time, count, INTERVAL);
                }
                history.update(new);
                is_news.then(|| Alert {
                    kind: "retweets".into(),
                    about: format!("@{author}"),
                    detail: format!("post {post} was repeated {count} times in 5 s"),
                })
            },
        );
        alerts
    })
}
