//! Each analysis against a naive loop over the same feed, what is planted in the feed, and a restart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use dstream::{
    chart::{Cell, ChartData},
    events::Event,
    prelude::*,
    testing::Events,
};
use social_monitor::{
    analyses::{self, Alert},
    feed::{BOOSTED, BOTS, Feed},
    post::{Post, site},
    source,
    words::LEXICON,
};

const FEED: Feed = Feed { seed: 7, posts_per_second: 100 };
const TRACKED: [&str; 2] = ["Coffee", "#rust"];

/// What a run has shown: of each chart its batches, in order; and the alerts of each batch.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    charts: BTreeMap<String, Vec<ChartData>>,
    alerts: Vec<Vec<Alert>>,
}

/// Runs the monitor over so many seconds of the feed, in runs of so many batches, each a restart of the one
/// before.
fn run(state: &Path, runs: &[usize]) -> Shown {
    let mut shown = Shown::default();
    for batches in runs {
        let (events, alerts) = (Events::new(), Collected::new());
        let conf = Config::new().checkpoint(state).listener(events.clone());
        let (ssc, posts) = source::generated(conf, FEED).expect("a feed");
        let all = analyses::add_all(&ssc, &posts, &TRACKED.map(String::from)).expect("the analyses");
        dstream::stream!(ssc, name = "test", {
            (&all).collect_to(&alerts);
        })
        .expect("an output");
        ssc.run_batches(*batches).expect("batches");
        ssc.stop();
        for event in events.recorded() {
            if let Event::ChartUpdated(updated) = event {
                shown.charts.entry(updated.chart.title).or_default().push(updated.data);
            }
        }
        shown.alerts.extend(alerts.values());
    }
    shown
}

fn posts(seconds: std::ops::Range<u64>) -> impl Iterator<Item = Post> {
    let rate = FEED.posts_per_second;
    (seconds.start * rate..seconds.end * rate).map(|n| FEED.post(n))
}

fn counts(keys: impl Iterator<Item = String>) -> HashMap<String, f64> {
    let mut counts = HashMap::new();
    keys.for_each(|key| *counts.entry(key).or_insert(0.0) += 1.0);
    counts
}

/// The bars must be the `n` largest of these; of equal ones any.
fn assert_top(data: &ChartData, n: usize, of: &HashMap<String, f64>) {
    let ChartData::Bar { bars } = data else { panic!("{data:?}") };
    let mut values: Vec<f64> = of.values().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.truncate(n);
    assert_eq!(bars.iter().map(|(_, value)| *value).collect::<Vec<_>>(), values);
    assert!(bars.iter().all(|(key, value)| of.get(key) == Some(value)), "{bars:?}");
}

fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_analysis_is_what_a_loop_finds() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = run(dir.path(), &[120]);
    let chart = |title: &str, at: usize| &shown.charts[title][at];

    // The second that ends at batch `at` is `at - 1`.
    for at in [1, 47, 120] {
        let of_batch = || posts(at - 1..at);
        let index = at as usize - 1;
        let volume = ChartData::Line { points: vec![(String::new(), of_batch().count() as f64)] };
        assert_eq!(*chart("Posts a second", index), volume);

        let naive = |posts: &mut dyn Iterator<Item = Post>| {
            let texts: Vec<String> = posts.map(|post| post.text.to_lowercase()).collect();
            let of = |word: &str| texts.iter().filter(|text| text.contains(word)).count() as f64;
            let found = TRACKED.map(|word| (word.to_lowercase(), of(&word.to_lowercase())));
            found.into_iter().filter(|(_, n)| *n > 0.0).collect::<HashMap<_, _>>()
        };
        let ChartData::Line { points } = chart("Tracked words", index) else { panic!("lines") };
        assert_eq!(points.iter().cloned().collect::<HashMap<_, _>>(), naive(&mut of_batch()));
        assert_top(chart("Tracked words since the start", index), 20, &naive(&mut posts(0..at)));

        let scores: HashMap<&str, i32> = LEXICON.into_iter().collect();
        let scored = of_batch().filter_map(|post| {
            let words = post.text.split_whitespace().map(|word| word.trim_end_matches(','));
            words.filter_map(|word| scores.get(word)).copied().reduce(|a, b| a + b)
        });
        let (sum, n) = scored.fold((0, 0), |(sum, n), score| (sum + score, n + 1));
        let mean = ChartData::Line { points: vec![(String::new(), f64::from(sum) / f64::from(n))] };
        assert_eq!(*chart("Sentiment", index), mean);
    }

    let minute = |at: u64| posts(at.saturating_sub(60)..at);
    for at in [10, 60, 110, 120] {
        // Windows slide by 2 s or 5 s; the first result is at the end of the first slide.
        let tags = counts(minute(at).flat_map(|post| post.hashtags()));
        assert_top(chart("Trending hashtags", at as usize / 2 - 1), 15, &tags);
        let sites = counts(minute(at).flat_map(|post| post.links()).map(|link| site(&link).to_owned()));
        assert_top(chart("Sites", at as usize / 5 - 1), 10, &sites);

        let cities = counts(minute(at).filter_map(|post| post.place).map(|place| place.city));
        let ChartData::Map { points } = chart("Posts by place", at as usize / 2 - 1) else { panic!("a map") };
        let on_map = points.iter().map(|point| (point.label.clone().unwrap_or_default(), point.weight));
        assert_eq!(on_map.collect::<HashMap<_, _>>(), cities);
        let tokyo = points.iter().find(|point| point.label.as_deref() == Some("Tokyo"));
        assert_eq!(tokyo.map(|point| (point.latitude, point.longitude)), Some((35.68, 139.69)));
    }

    // The trees of retweets, all of them: none is a minute old.
    let mut trees: BTreeMap<u64, HashMap<u64, u64>> = BTreeMap::new();
    for post in posts(0..40) {
        let Some(retweet) = post.retweet else { continue };
        let tree = trees.entry(retweet.root).or_default();
        let depth = tree.get(&retweet.of).unwrap_or(&0) + 1;
        tree.insert(post.id, depth);
    }
    let ChartData::Table { columns, rows } = chart("Largest retweet trees", 39) else { panic!("a table") };
    assert_eq!(*columns, ["post", "author", "retweets", "deepest"]);
    let mut sizes: Vec<usize> = trees.values().map(HashMap::len).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    for (row, size) in rows.iter().zip(sizes) {
        let Cell::UInt(root) = row[0] else { panic!("{row:?}") };
        let deepest = trees[&root].values().max().copied().unwrap_or_default();
        assert_eq!(
            row[1..],
            [Cell::Text(FEED.post(root).user), Cell::UInt(size as u64), Cell::UInt(deepest)]
        );
    }
}

#[test]
fn what_is_planted_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = run(dir.path(), &[300]);
    let told = |kind: &str| {
        let alerts = shown
            .alerts
            .iter()
            .enumerate()
            .flat_map(|(at, alerts)| alerts.iter().map(move |alert| (5 * (at as u64 + 1), alert)));
        let of_kind = alerts.filter(|(_, alert)| alert.kind == kind);
        of_kind.map(|(at, alert)| (at, alert.about.clone())).collect::<Vec<_>>()
    };

    // Alerts come each five seconds. Stories break at seconds 45, 165 and 285, for 20 s: told in the five
    // seconds that follow.
    let stories: Vec<(u64, String)> =
        [50, 170, 290].map(|at| (at, FEED.story(at - 2).expect("a story").to_owned())).to_vec();
    assert_eq!(told("story"), stories);

    let bots: BTreeSet<String> = told("bot").into_iter().map(|(_, user)| user).collect();
    assert_eq!(bots, BOTS.map(String::from).into());
    assert_eq!(told("bot").len(), BOTS.len());

    // A post is boosted from second 100 on, and another one from second 280 on.
    let boosted = format!("@{BOOSTED}");
    assert_eq!(told("retweets"), [(105, boosted.clone()), (285, boosted)]);

    let ChartData::Bar { bars } = &shown.charts["Rising stories"][9] else { panic!("bars") };
    assert_eq!(bars[0].0, stories[0].1);
    let ChartData::Table { rows, .. } = &shown.charts["Saddest hashtags"][11] else { panic!("a table") };
    assert!(["#monday", "#trains", "#politics"].contains(&text(&rows[0][0])), "{rows:?}");
    let ChartData::Table { rows, .. } = &shown.charts["Alerts"][59] else { panic!("a table") };
    assert_eq!((rows.len(), text(&rows[0][0])), (5 + 3 + 2, "story"));
}

/// Windows, states, histories and the feed itself go on: two runs show what one would have.
#[test]
fn a_restart_changes_nothing() {
    let (dir, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let whole = run(dir.path(), &[113]);
    let parts = run(other.path(), &[40, 7, 66]);
    assert_eq!(parts.alerts, whole.alerts);
    assert_eq!(parts.charts.keys().collect::<Vec<_>>(), whole.charts.keys().collect::<Vec<_>>());
    for (title, data) in whole.charts {
        // Of equal numbers, others may stand first.
        let sorted = |mut data: Vec<ChartData>| {
            data.iter_mut().for_each(sort);
            data
        };
        assert_eq!(sorted(parts.charts[&title].clone()), sorted(data), "{title}");
    }
}

fn sort(data: &mut ChartData) {
    match data {
        ChartData::Bar { bars: pairs } | ChartData::Line { points: pairs } => {
            // Those that are equal to the least may be others, too.
            let least = pairs.last().map(|(_, value)| *value);
            pairs.iter_mut().filter(|(_, value)| Some(*value) == least).for_each(|(label, _)| label.clear());
            pairs.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        }
        ChartData::Map { points } => points.sort_by(|a, b| a.label.cmp(&b.label)),
        ChartData::Table { rows, .. } => rows.sort_by_key(|row| format!("{row:?}")),
        _ => {}
    }
}
