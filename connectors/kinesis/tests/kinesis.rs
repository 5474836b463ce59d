//! Streams of Kinesis, against a real server, and against one that answers what a test says.

#[path = "kinesis/fake.rs"]
mod fake;
#[path = "kinesis/faults.rs"]
mod faults;
#[path = "kinesis/kills.rs"]
mod kills;
#[path = "kinesis/reshards.rs"]
mod reshards;
#[path = "kinesis/server.rs"]
mod server;

use std::{collections::BTreeMap, path::Path, time::Instant};

use dstream::{Config, StreamingContext, Time, prelude::*, testing::check_source};
use dstream_kinesis::{Kinesis, KinesisMessage, Start, kinesis_stream};
use server::server;

/// Runs batches until `done`, for as long as a server may take.
fn run_until(ssc: &StreamingContext, done: impl Fn() -> bool) {
    let clock = Instant::now();
    while !done() {
        assert!(clock.elapsed().as_secs() < 60, "nothing more comes");
        ssc.run_batches(1).unwrap();
    }
}

fn sum(out: &Collected<u64>) -> u64 {
    out.values().concat().iter().sum()
}

/// All records, and how many each batch has.
fn all_records(
    kinesis: Kinesis,
    conf: Config,
) -> (StreamingContext, Collected<KinesisMessage>, Collected<u64>) {
    let (out, counts) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let records = kinesis_stream(kinesis);
        records.count().collect_to(&counts);
        records.collect_to(&out);
    })
    .unwrap();
    (ssc, out, counts)
}

/// Running totals of the words of a stream, in a checkpoint.
fn word_totals(
    kinesis: Kinesis,
    conf: Config,
    checkpoint: &Path,
) -> (StreamingContext, Collected<(String, u64)>, Collected<u64>) {
    let (totals, counts) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
        let records = kinesis_stream(kinesis);
        let words = records.flat_map(|record| record.text().unwrap_or_default().split(' '));
        let total = words
            .map(|word| (word, 1u64))
            .reduce_by_key(|a, b| a + b)
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        total.map(|(word, n)| (word.to_string(), *n)).collect_to(&totals);
        records.count().collect_to(&counts);
    })
    .unwrap();
    (ssc, totals, counts)
}

fn last(out: &Collected<(String, u64)>) -> BTreeMap<String, u64> {
    out.values().last().cloned().unwrap_or_default().into_iter().collect()
}

/// Records of different keys, so that they go to all shards.
fn records(range: std::ops::Range<u64>, text: &str) -> impl Iterator<Item = (String, String)> {
    range.map(move |n| (format!("key{n}"), format!("{text} w{}", n % 7)))
}

#[test]
fn records_count_once_over_a_restart() {
    let Some(server) = server() else { return };
    server.create("lines", 3);
    server.put("lines", records(0..3_000, "all"));
    let checkpoint = tempfile::tempdir().unwrap();

    let (ssc, totals, counts) = word_totals(server.kinesis("lines"), Config::new(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 3_000);
    ssc.stop();
    assert_eq!(last(&totals)["all"], 3_000);

    server.put("lines", records(0..500, "all more"));
    let latest = server.kinesis("lines").start(Start::Latest);
    let (ssc, totals, counts) = word_totals(latest, Config::new(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 500);
    ssc.run_batches(3).unwrap();
    let totals = last(&totals);
    assert_eq!((totals["all"], totals["more"], totals["w3"]), (3_500, 500, 429 + 71));
    assert_eq!(sum(&counts), 500);
}

#[test]
fn the_source_keeps_the_promises() {
    let Some(server) = server() else { return };
    server.create("promises", 2);
    let arrive = |batch: usize| {
        let n = batch as u64;
        server.put("promises", records(100 * n..100 * n + 100, "a"));
        100
    };
    check_source(|| kinesis_stream(server.kinesis("promises")), arrive).unwrap();
}

#[test]
fn records_are_what_was_put() {
    let Some(server) = server() else { return };
    server.create("orders", 1);
    let large = vec![b'x'; 900 << 10];
    let sent: [(&str, &[u8]); 4] = [
        ("ann", br#"{"article":"figs","pieces":3}"#),
        ("b\u{f6}b \"q\"", b"\xff\x00"),
        ("c", b"c"),
        ("d", &large),
    ];
    for (key, data) in sent {
        server.put("orders", [(key.to_owned(), data)]);
    }
    let (ssc, out, _) = all_records(server.kinesis("orders"), Config::new());
    run_until(&ssc, || out.values().concat().len() >= 4);
    let found = out.values().concat();
    let pairs: Vec<_> =
        found.iter().map(|record| (record.partition_key.as_str(), &record.data[..])).collect();
    assert_eq!(pairs, sent);
    assert!(found.iter().all(|record| record.shard.as_str() == "shardId-000000000000"));
    assert!(found.windows(2).all(|two| two[0].sequence_number.as_str() < two[1].sequence_number.as_str()));
    assert!(found.iter().all(|record| record.arrival.unwrap() > Time::from_millis(1_700_000_000_000)));
    assert!(found.iter().all(|record| record.sub_sequence_number.is_none()));
}

/// Three records, as Amazon's `aws_kinesis_agg` has aggregated them.
const AGGREGATED: &[u8] = b"\xf3\x89\x9a\xc2\x0a\x01\x61\x0a\x01\x62\x12\x03123\x1a\x09\x08\x00\x1a\x05first\x1a\x06\x08\x01\x10\
    \x00\x1a\x00\x1a\x09\x08\x00\x1a\x05third\xd1\xc7\xf0\x5e\xc2\xd9\x99\x9a\x4f\x23\xab\x4f\x5e\x96\xd0\x58";

#[test]
fn a_rate_is_kept_on_average_where_records_are_aggregated() {
    let Some(server) = server() else { return };
    server.create("aggregated", 1);
    server.put("aggregated", (0..20).map(|n| (format!("key{n}"), AGGREGATED)));
    let (ssc, out, counts) = all_records(server.kinesis("aggregated"), Config::new().max_rate(4));
    run_until(&ssc, || sum(&counts) >= 60);
    let counts: Vec<u64> = counts.values().concat().into_iter().skip_while(|n| *n == 0).collect();
    assert!(counts.iter().all(|n| n % 3 == 0 && *n <= 6), "{counts:?}");
    // Twelve of each three batches, to which the first one may add its own excess.
    assert!(counts.windows(3).all(|three| three.iter().sum::<u64>() <= 15), "{counts:?}");
    let out = out.values().concat();
    let first: Vec<_> =
        out.iter().take(3).map(|r| (r.partition_key.as_str(), r.sub_sequence_number)).collect();
    assert_eq!(first, [("a", Some(0)), ("b", Some(1)), ("a", Some(2))]);
}

#[test]
fn a_start_is_the_newest_record_or_a_time() {
    let Some(server) = server() else { return };
    server.create("starts", 2);
    server.put("starts", records(0..50, "old"));
    let (ssc, out, counts) = all_records(server.kinesis("starts").start(Start::Latest), Config::new());
    // What is newest is known when the shards have been found.
    let clock = Instant::now();
    while sum(&counts) == 0 {
        assert!(clock.elapsed().as_secs() < 60, "nothing comes");
        server.put("starts", records(0..10, "new"));
        ssc.run_batches(1).unwrap();
    }
    ssc.stop();
    let out = out.values().concat();
    assert!(out.iter().all(|record| record.data.starts_with(b"new")), "{out:?}");

    let arrival = out.iter().filter_map(|record| record.arrival).min().unwrap();
    let (ssc, all, _) = all_records(server.kinesis("starts").start(Start::Timestamp(arrival)), Config::new());
    run_until(&ssc, || all.values().concat().len() >= 10);
    let all = all.values().concat();
    assert!(all.iter().all(|record| record.arrival >= Some(arrival)), "{all:?}");
}

#[test]
fn a_stream_that_is_renamed_in_the_program_is_another_one() {
    let Some(server) = server() else { return };
    server.create("before", 1);
    server.create("after", 1);
    server.put("before", records(0..10, "x"));
    server.put("after", records(0..20, "y"));
    let checkpoint = tempfile::tempdir().unwrap();
    let (ssc, _, counts) = word_totals(server.kinesis("before"), Config::new(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 10);
    ssc.stop();
    let (ssc, ..) = word_totals(server.kinesis("after"), Config::new(), checkpoint.path());
    let refused = ssc.run_batches(1).unwrap_err().to_string();
    assert!(refused.contains("kinesis_stream(before)"), "{refused}");
    ssc.stop();
    let forget = Config::new().forget(["kinesis_stream(before)"]);
    let (ssc, totals, counts) = word_totals(server.kinesis("after"), forget, checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 20);
    let totals = last(&totals);
    assert_eq!((totals["x"], totals["y"]), (10, 20));
}
