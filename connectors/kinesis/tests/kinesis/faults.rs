//! What a service refuses, forgets and answers wrongly, and mistakes in settings.

use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dstream::{Config, Error, StreamingContext, prelude::*};
use dstream_kinesis::{Kinesis, OnLoss};
use serde_json::{Value, json};

use crate::{
    all_records,
    fake::{Fake, error, ok, one_shard, records, shards},
    run_until, server, word_totals,
};

/// Runs batches until one fails.
fn failure(ssc: &StreamingContext) -> String {
    let clock = Instant::now();
    loop {
        if let Err(error) = ssc.run_batches(1) {
            return error.to_string();
        }
        assert!(clock.elapsed().as_secs() < 60, "no batch fails");
    }
}

fn failure_of(kinesis: Kinesis) -> String {
    failure(&all_records(kinesis, Config::new()).0)
}

/// The numbers of records.
fn texts(out: &Collected<dstream_kinesis::KinesisMessage>) -> Vec<String> {
    out.values().concat().iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect()
}

#[test]
fn mistakes_say_what_to_do() {
    let Some(server) = server::server() else { return };
    let missing = failure_of(server.kinesis("missing"));
    assert!(missing.contains("there is no stream `missing` in the region `us-east-1`"), "{missing}");
    assert!(missing.contains("kinesis_stream(missing)"), "{missing}");
    // The streams of another region are others.
    server.create("here", 1);
    let elsewhere = failure_of(server.kinesis("here").region("eu-west-1"));
    assert!(elsewhere.contains("there is no stream `here` in the region `eu-west-1`"), "{elsewhere}");
}

#[test]
fn a_service_that_does_not_answer_is_named_after_a_while() {
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody =
        Kinesis::new("x").region("us-east-1").credentials("a", "b").patience(Duration::from_millis(300));
    let refused = failure_of(nobody.clone().endpoint(format!("http://{address}")));
    assert!(refused.contains(&format!("http://{address}/ does not answer")), "{refused}");
    assert!(refused.contains("refused") && refused.contains("300ms since the start"), "{refused}");
    let unknown = failure_of(nobody.endpoint("http://kinesis.invalid"));
    assert!(unknown.contains("http://kinesis.invalid/ does not answer"), "{unknown}");
}

#[test]
fn what_is_refused_for_good_fails_at_once() {
    for (code, words) in [
        ("UnrecognizedClientException", "does not accept the credentials `test`"),
        ("AccessDeniedException", "needs kinesis:ListShards"),
        ("ExpiredTokenException", "credentials have expired"),
    ] {
        let fake = Fake::start(move |_, _| error(code));
        let found = failure_of(fake.kinesis());
        assert!(found.contains(words), "{found}");
        assert_eq!(fake.count("ListShards"), 1);
    }
    let other = Fake::start(|_, _| (404, "<html>no such page".to_owned()));
    let found = failure_of(other.kinesis());
    assert!(found.contains("404") && found.contains("Is the endpoint that of Kinesis?"), "{found}");
}

#[test]
fn what_passes_is_asked_for_again() {
    let (mut requests, mut expired) = (0, Value::Null);
    let fake = Fake::start(move |operation, body| {
        requests += 1;
        if operation == "GetRecords" && body["ShardIterator"] == expired {
            return error("ExpiredIteratorException");
        }
        match (operation, requests) {
            ("ListShards", 1) => error("LimitExceededException"),
            ("ListShards", 2) => (500, "{}".to_owned()),
            ("ListShards", 3) => ok(json!({"Shards": 7})),
            ("ListShards", _) => one_shard(),
            ("GetShardIterator", 5) => error("ProvisionedThroughputExceededException"),
            ("GetShardIterator", _) => {
                let at = body["StartingSequenceNumber"].as_str().unwrap_or("1");
                ok(json!({"ShardIterator": format!("i{at}")}))
            }
            (_, 7) => error("ProvisionedThroughputExceededException"),
            // The iterator expires in the midst: the next one begins with the record that was read last.
            (_, 9) => {
                expired = body["ShardIterator"].clone();
                error("ExpiredIteratorException")
            }
            (_, 12) => (200, "{\"Records\": [{\"Data\": \"*\"".to_owned()),
            _ => {
                let from: u64 = body["ShardIterator"].as_str().unwrap()[1..].parse().unwrap();
                records(from..(from + 3).min(12), &format!("n{}", from + 3), u64::from(from < 9))
            }
        }
    });
    let (ssc, out, _) = all_records(fake.kinesis(), Config::new());
    run_until(&ssc, || texts(&out).len() >= 11);
    assert_eq!(texts(&out), (1..12).map(|n| format!("r{n}")).collect::<Vec<_>>());
}

/// A shard that has the records in a range, which a test changes.
fn shard_with(range: &Arc<Mutex<std::ops::Range<u64>>>) -> Fake {
    let range = Arc::clone(range);
    Fake::start(move |operation, body| match operation {
        "ListShards" => one_shard(),
        "GetShardIterator" => {
            let at = body["StartingSequenceNumber"].as_str().unwrap_or("0");
            ok(json!({"ShardIterator": at}))
        }
        _ => {
            let (from, has) =
                (body["ShardIterator"].as_str().unwrap().parse().unwrap(), range.lock().unwrap().clone());
            records(has.start.max(from)..has.end, &has.end.max(from).to_string(), 0)
        }
    })
}

/// Runs over the first ten records.
fn run_over_ten(fake: &Fake, checkpoint: &Path) {
    let (ssc, _, counts) = word_totals(fake.kinesis(), Config::new(), checkpoint);
    run_until(&ssc, || crate::sum(&counts) >= 10);
    ssc.stop();
}

#[test]
fn a_position_that_the_stream_does_not_know_is_a_loss() {
    let refuses = Arc::new(Mutex::new(false));
    let refusing = Arc::clone(&refuses);
    let fake = Fake::start(move |operation, body| match operation {
        "ListShards" => one_shard(),
        "GetShardIterator" if *refusing.lock().unwrap() && body["StartingSequenceNumber"] != Value::Null => {
            error("InvalidArgumentException")
        }
        "GetShardIterator" => ok(json!({"ShardIterator": "0"})),
        _ if body["ShardIterator"] == "0" => records(10..20, "20", 0),
        _ => records(0..0, "20", 0),
    });
    let checkpoint = tempfile::tempdir().unwrap();
    run_over_ten(&fake, checkpoint.path());
    *refuses.lock().unwrap() = true;
    let found = failure(&word_totals(fake.kinesis(), Config::new(), checkpoint.path()).0);
    assert!(found.contains("shardId-0 can't be read on behind 19"), "{found}");
    assert!(found.contains("OnLoss::Skip"), "{found}");

    let (ssc, _, counts) =
        word_totals(fake.kinesis().on_loss(OnLoss::Skip), Config::new(), checkpoint.path());
    run_until(&ssc, || crate::sum(&counts) >= 10);
}

#[test]
fn a_shard_that_expires_while_it_is_read_is_named() {
    // One of two shards is gone when three records have been read of it.
    let mut gone = false;
    let fake = Fake::start(move |operation, body| match (operation, body["ShardIterator"].as_str()) {
        ("ListShards", _) if gone => shards(&[1]),
        ("ListShards", _) => shards(&[0, 1]),
        ("GetShardIterator", _) => ok(json!({"ShardIterator": body["ShardId"]})),
        (_, Some("shardId-0")) => records(1..4, "gone", 1),
        (_, Some("shardId-1")) => records(5..6, "end", 0),
        (_, Some("gone")) => {
            gone = true;
            error("ResourceNotFoundException")
        }
        _ => records(0..0, "end", 0),
    });
    // It is not waited until shards are looked for by themselves.
    let found = failure_of(fake.kinesis().refresh_interval(Duration::from_secs(3_600)));
    assert!(found.contains("shardId-0, which had been read up to 3, is no more among the shards"), "{found}");
    assert_eq!(fake.count("ListShards"), 2);
}

#[test]
fn a_shard_with_one_record_does_not_wait_for_those_with_thousands() {
    let stored = Arc::new(AtomicUsize::new(0));
    let asked_again = Arc::clone(&stored);
    let fake = Fake::start(move |operation, body| match (operation, body["ShardIterator"].as_str()) {
        ("ListShards", _) => shards(&[0, 1]),
        ("GetShardIterator", _) => ok(json!({"ShardIterator": body["ShardId"]})),
        (_, Some("shardId-0")) => records(1..2, "end0", 0),
        (_, Some("shardId-1")) => records(5..5_000, "end1", 0),
        (_, end) => {
            asked_again.fetch_or(if end == Some("end0") { 1 } else { 2 }, Ordering::SeqCst);
            records(0..0, end.unwrap(), 0)
        }
    });
    let (ssc, out, counts) = all_records(fake.kinesis(), Config::new().max_rate(100));
    ssc.run_batches(1).unwrap();
    // Whoever asks for more has stored what it was given.
    let clock = Instant::now();
    while stored.load(Ordering::SeqCst) != 3 {
        assert!(clock.elapsed().as_secs() < 60, "both shards are read");
        std::thread::yield_now();
    }
    run_until(&ssc, || out.values().concat().iter().any(|record| record.shard.as_str() == "shardId-0"));
    assert!(crate::sum(&counts) < 2_500, "{}", crate::sum(&counts));
}

#[test]
fn a_quiet_shard_whose_last_record_has_expired_has_lost_nothing() {
    let range = Arc::new(Mutex::new(10..20));
    let fake = shard_with(&range);
    let checkpoint = tempfile::tempdir().unwrap();
    run_over_ten(&fake, checkpoint.path());
    *range.lock().unwrap() = 30..35;
    let (ssc, totals, counts) = word_totals(fake.kinesis(), Config::new(), checkpoint.path());
    run_until(&ssc, || crate::sum(&counts) >= 5);
    assert_eq!(crate::last(&totals).len(), 15);
}

#[test]
fn a_program_that_was_down_for_too_long_names_what_may_be_lost() {
    let range = Arc::new(Mutex::new(10..20));
    let fake = shard_with(&range);
    let checkpoint = tempfile::tempdir().unwrap();
    fake.date("Tue, 01 Dec 2026 12:00:00 GMT");
    run_over_ten(&fake, checkpoint.path());
    *range.lock().unwrap() = 30..35;
    fake.date("Wed, 02 Dec 2026 13:00:00 GMT");
    let found = failure(&word_totals(fake.kinesis(), Config::new(), checkpoint.path()).0);
    assert!(found.contains("shardId-0: the record 19") && found.contains("the oldest is 30"), "{found}");

    let reports = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&reports);
    let conf = Config::new().on_report(move |error| said.lock().unwrap().push(error.to_string()));
    let (ssc, totals, counts) = word_totals(fake.kinesis().on_loss(OnLoss::Skip), conf, checkpoint.path());
    run_until(&ssc, || crate::sum(&counts) >= 5);
    assert_eq!(crate::last(&totals).len(), 15);
    let reports = reports.lock().unwrap();
    assert!(reports.len() == 1 && reports[0].contains("the oldest is 30"), "{reports:?}");
}

#[test]
fn a_batch_that_runs_again_fails_if_its_records_are_gone() {
    use dstream::{
        Time,
        source::{Block, Limits, Source, SourceContext},
        testing::ManualClock,
    };
    let range = Arc::new(Mutex::new(10..20));
    let fake = shard_with(&range);
    let clock = ManualClock::new(Time::from_millis(0));
    let context = SourceContext::new(Config::new().clock(clock), Duration::from_secs(1));
    let open = || {
        let mut source = dstream_kinesis::kinesis_stream(fake.kinesis().patience(Duration::from_secs(20)));
        source.start(&context).unwrap();
        source
    };
    let (mut source, begun) = (open(), Instant::now());
    let plan = loop {
        assert!(begun.elapsed().as_secs() < 60, "nothing comes");
        if let Some(plan) = source.plan(Time::from_millis(1_000), &Limits::none()).unwrap() {
            break plan;
        }
    };
    let again = |has: std::ops::Range<u64>| {
        *range.lock().unwrap() = has;
        let mut blocks = open().blocks(Time::from_millis(1_000), &plan).unwrap();
        assert_eq!(blocks.len(), 1);
        blocks[0].open().map(|()| blocks[0].records().count())
    };
    assert_eq!(again(10..40).unwrap(), 10);
    for (has, words) in [
        (11..40, "it has expired: the oldest record there is 11"),
        (50..60, "it has expired: the oldest record there is 50"),
    ] {
        let error = again(has).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("shardId-0, from 10 through 19") && error.contains(words), "{error}");
    }
}
