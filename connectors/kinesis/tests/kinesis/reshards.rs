//! Shards that are split and merged.

use std::collections::BTreeMap;

use dstream::Config;

use crate::{all_records, last, records, run_until, server::server, sum, word_totals};

#[test]
fn records_of_a_key_stay_in_order_over_splits_and_merges() {
    let Some(server) = server() else { return };
    server.create("order", 1);
    let put = |round: usize| {
        let key = |n: usize| (format!("key{n}"), format!("{round}"));
        server.put("order", (0..20).map(key));
    };
    let (ssc, out, _) = all_records(server.kinesis("order"), Config::new());
    put(0);
    server.split("order", &server.open_shards("order")[0]);
    put(1);
    ssc.run_batches(2).unwrap();
    server.split("order", &server.open_shards("order")[0]);
    put(2);
    let shards = server.open_shards("order");
    server.merge("order", &shards[1].0, &shards[2].0);
    put(3);
    let shards = server.open_shards("order");
    server.merge("order", &shards[0].0, &shards[1].0);
    put(4);
    run_until(&ssc, || out.values().concat().len() >= 100);
    let mut rounds: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for record in out.values().concat() {
        rounds.entry(record.partition_key.to_string()).or_default().extend(&record.data[..]);
    }
    assert_eq!(rounds.len(), 20);
    assert!(rounds.values().all(|rounds| rounds == b"01234"), "{rounds:?}");
}

#[test]
fn shards_that_change_while_the_program_is_down_are_followed() {
    let Some(server) = server() else { return };
    server.create("down", 2);
    server.put("down", records(0..100, "x"));
    let checkpoint = tempfile::tempdir().unwrap();
    let (ssc, _, counts) = word_totals(server.kinesis("down"), Config::new(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 100);
    ssc.stop();

    server.put("down", records(0..100, "x"));
    server.split("down", &server.open_shards("down")[1]);
    server.put("down", records(0..100, "x"));
    let shards = server.open_shards("down");
    server.merge("down", &shards[0].0, &shards[1].0);
    server.put("down", records(0..100, "x"));
    let (ssc, totals, counts) = word_totals(server.kinesis("down"), Config::new(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 300);
    ssc.run_batches(3).unwrap();
    assert_eq!((last(&totals)["x"], sum(&counts)), (400, 300));
    ssc.stop();

    // What was read to its end is not read again.
    let (ssc, totals, counts) = word_totals(server.kinesis("down"), Config::new(), checkpoint.path());
    server.put("down", records(0..10, "x"));
    run_until(&ssc, || sum(&counts) >= 10);
    ssc.run_batches(3).unwrap();
    assert_eq!((last(&totals)["x"], sum(&counts)), (410, 10));
}

#[test]
fn a_stream_that_was_made_anew_is_a_loss() {
    let Some(server) = server() else { return };
    server.create("anew", 1);
    server.put("anew", records(0..10, "x"));
    let checkpoint = tempfile::tempdir().unwrap();
    let (ssc, _, counts) = word_totals(server.kinesis("anew"), Config::new(), checkpoint.path());
    server.split("anew", &server.open_shards("anew")[0]);
    run_until(&ssc, || sum(&counts) >= 10);
    // The first shard is done when another one is read.
    server.put("anew", records(0..10, "x"));
    run_until(&ssc, || sum(&counts) >= 20);
    ssc.stop();
    server.delete("anew");
    server.create("anew", 1);
    let (ssc, ..) = word_totals(server.kinesis("anew"), Config::new(), checkpoint.path());
    let clock = std::time::Instant::now();
    let error = loop {
        assert!(clock.elapsed().as_secs() < 60, "no batch fails");
        if let Err(error) = ssc.run_batches(1) {
            break error.to_string();
        }
    };
    assert!(error.contains("made anew"), "{error}");
}
