//! Stories that rise: terms that are there much more often than their own history lets expect.
//!
//! It shows: state that learns, and two streams that meet: until there is a history, nothing is news.

use std::time::Duration;

use dstream::{Time, prelude::*};

use super::{Alert, Posts};
use crate::{history::History, post::Post};

const INTERVAL: Duration = Duration::from_secs(5);
/// How many intervals pass before anything counts as surprising.
const WARM_UP: u64 = 6;
/// How surprising a count must be, in standard deviations, and how large.
const RISING: (f64, u64) = (6.0, 10);

/// What a story may be about: each hashtag of a post once.
fn terms(post: &Post) -> Vec<String> {
    let mut terms = post.hashtags();
    terms.sort();
    terms.dedup();
    terms
}

pub(super) fn stories(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<StreamHandle<Alert>> {
    dstream::stream!(ssc, name = "stories", {
        // What people write, not what they repeat.
        let written = posts.filter(|post| post.retweet.is_none());
        let counts = written.flat_map(|post| terms(&post)).count_by_value_and_window(5s, 5s);
        let (surprises, histories) = counts.map_with_state(
            |time: Time, term, count, history: &mut State<History>| {
                let count = count?;
                let mut new = history.get().cloned().unwrap_or_default();
                let surprise = new.surprise(count);
                new.add(time, count, INTERVAL);
                let is_rising = surprise >= RISING.0 && count >= RISING.1;
                let is_news = is_rising && new.report(time);
                history.update(new);
                is_rising.then(|| (term.clone(), surprise, count, is_news))
            },
            timeout = 10min,
        );
        histories.count().dashboard("Terms with a history", Chart::number());

        // How many intervals there have been, in one state for all.
        let (ages, _) = posts.count_by_window(5s, 5s).map(|_| ((), ())).map_with_state(
            |(), new, age: &mut State<u64>| {
                new.map(|()| {
                    age.update(age.get().copied().unwrap_or(0) + 1);
                    age.get().copied().unwrap_or(0)
                })
            },
        );
        let rising = surprises.transform_with(ages, |rising, ages| {
            let warm = ages.iter().any(|age| *age > WARM_UP);
            rising.filter(move |_| warm)
        });
        rising
            .map(|(term, surprise, _, _)| (term, surprise))
            .dashboard("Rising stories", Chart::bar().top(10).unit("standard deviations"));
        rising.filter(|(_, _, _, is_news)| *is_news).map(|(term, surprise, count, _)| Alert {
            kind: "story".into(),
            about: term,
            detail: format!("{count} posts in 5 s, {surprise:.0} standard deviations more than usual"),
        })
    })
}
