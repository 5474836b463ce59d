//! `stream!(crate = ::ds, ..)` and `#[record(crate = "::ds")]`.

use ds::{StreamingContext, prelude::*};

#[derive(Hash, Record)]
#[record(key, crate = "::ds")]
enum Topic<'a> {
    Tag(&'a str),
    Chatter,
}

#[derive(Clone, Record)]
#[record(crate = "ds")]
struct Likes(u64);

fn topic(line: &str) -> Topic<'_> {
    line.split(' ').find_map(|word| word.strip_prefix('#')).map_or(Topic::Chatter, Topic::Tag)
}

#[test]
fn a_pipeline() -> ds::Result<()> {
    let (likes, totals) = (Collected::new(), Collected::new());
    let ssc = ds::stream!(batch = 1s, crate = ::ds, conf = Config::new().volatile_state(true), {
        let lines = queue_stream(vec![vec!["so #rust", "hm"], vec!["#rust"]]);
        let topics = lines.map(|line| (topic(line), 1u64));
        let counts = topics.reduce_by_key(|a, b| a + b);
        counts.map(|(_, n)| Likes(n)).filter(|likes| likes.0 > 0).collect_to(&likes);
        let known =
            counts.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        known.map(|(topic, n)| (topic.clone(), *n)).foreach_rdd(|rdd, time| {
            assert!(time.as_millis() > 0 && rdd.count() > 0);
        });
        let window = counts.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 2s, 1s);
        window.join(counts).map(|(topic, (all, _))| (topic, all)).collect_to(&totals);
        lines.print(retry = Retry::new().attempts(2));
        lines.words()
    })?;
    let (ssc, words): (StreamingContext, StreamHandle<_>) = ssc;
    ds::stream!(ssc, crate = ds, name = "second", {
        words.count().print();
    })?;
    ssc.run_batches(2)?;
    assert_eq!(likes.values().concat().len(), 3);
    assert_eq!(totals.values()[1], [(TopicOwned::Tag("rust".into()), 2)]);
    Ok(())
}
