//! A store whose requests fail, and what requests a program makes.

#[path = "faults/faulty.rs"]
mod faulty;

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use dstream::{Error, StreamingContext, checkpoint::CheckpointStore, testing::check_store};
use dstream_store::{Store, object_store::memory::InMemory, object_store::path::Path};
use dstream_store::{save_as_text_files, text_file_stream};
use faulty::{Fate, Faulty};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

fn at(objects: &Arc<Faulty>, path: &str, lease: Duration) -> Store {
    let limit = Duration::from_millis(300);
    Store::new(objects.clone(), path).unwrap().lease(lease).timeout(limit)
}

/// Running totals of the words under `in`, in `out`.
fn word_count(objects: &Arc<Faulty>, lease: Duration) -> dstream::Result<StreamingContext> {
    let checkpoint = at(objects, "checkpoint", lease);
    let (input, output) = (at(objects, "in", lease), at(objects, "out/totals", lease));
    dstream::stream!(batch = 1s, name = "words", checkpoint = checkpoint, {
        let words = text_file_stream(&input).flat_map(|line| line.split_whitespace());
        let totals = words.map(|word| (word, 1u64)).update_state_by_key(|new: &[u64], total: Option<u64>| {
            Some(total.unwrap_or(0) + new.iter().sum::<u64>())
        });
        totals
            .map(|(word, n)| format!("{word} {n}"))
            .write_to(save_as_text_files(&output).skip_empty(true))
            .named("totals");
    })
}

type Totals = BTreeMap<String, u64>;

/// What each whole folder says, in order of the batches.
fn folders(runtime: &tokio::runtime::Runtime, objects: &InMemory) -> Vec<Totals> {
    let base = Path::from("out");
    let names = runtime.block_on(objects.list(Some(&base)).try_collect::<Vec<_>>()).unwrap();
    let names: Vec<_> = names.into_iter().map(|object| object.location).collect();
    let mut folders = BTreeMap::<String, Totals>::new();
    for folder in names.iter().filter_map(|name| name.as_ref().strip_suffix("/_SUCCESS")) {
        let totals = folders.entry(folder.to_owned()).or_default();
        for part in names.iter().filter(|name| name.as_ref().starts_with(&format!("{folder}/part-"))) {
            let bytes = runtime.block_on(async { objects.get(part).await.unwrap().bytes().await.unwrap() });
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                let (word, n) = line.split_once(' ').unwrap();
                assert!(totals.insert(word.to_owned(), n.parse().unwrap()).is_none(), "`{word}` twice");
            }
        }
    }
    folders.into_values().collect()
}

/// One schedule of faults. The errors that the program has met.
fn schedule(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let objects = Arc::new(Faulty::new(seed));
    let lease = Duration::from_secs(1);
    let (mut expected, mut errors, mut context) = (Totals::new(), Vec::new(), None);
    let begun = Instant::now();
    for step in 0.. {
        assert!(begun.elapsed() < Duration::from_secs(120), "seed {seed}: {errors:#?}");
        if step < 40 && step % 2 == 0 {
            let word = format!("word{}", objects.below(5));
            let path = Path::from(format!("in/{step:03}.txt"));
            objects.hide(path.clone());
            let text = format!("every {word}\nevery\n");
            runtime.block_on(objects.inner.put(&path, text.into())).unwrap();
            *expected.entry(word).or_default() += 1;
            *expected.entry("every".to_owned()).or_default() += 2;
        } else if step == 40 {
            objects.mend();
        }
        // A program that ends here and there.
        if objects.below(10) == 0 {
            context = None;
        }
        let outcome = match context.take() {
            Some(context) => Ok(context),
            None => word_count(&objects, lease),
        };
        let outcome = outcome.and_then(|running| match running.run_batches(1) {
            Ok(()) => Ok(Some(running)),
            // What was refused is tried again, by this program or the next one.
            Err(error @ Error::Checkpoint(_)) if objects.below(2) == 0 => {
                errors.push(error.to_string());
                Ok(Some(running))
            }
            Err(error) => Err(error),
        });
        match outcome {
            Ok(running) => context = running,
            Err(error) => errors.push(error.to_string()),
        }
        let found = folders(&runtime, &objects.inner);
        for (earlier, later) in found.iter().zip(found.iter().skip(1)) {
            let falls = earlier.iter().find(|(word, n)| later.get(*word).is_none_or(|later| later < *n));
            assert!(falls.is_none(), "seed {seed}: {falls:?} is less in {later:?}");
        }
        let last = found.last().cloned().unwrap_or_default();
        let more = last.iter().find(|(word, n)| expected.get(*word).is_none_or(|expected| expected < *n));
        assert!(more.is_none(), "seed {seed}: {more:?} is more than in {expected:?}: {errors:#?}");
        // It stays as it is.
        if step > 50 && last == expected {
            break;
        }
    }
    assert!(objects.faults.load(Ordering::Relaxed) > 0, "seed {seed}");
    errors
}

#[test]
fn nothing_is_lost_or_doubled_by_requests_that_fail() {
    let schedules: u64 = std::env::var("STORE_SCHEDULES").map_or(16, |count| count.parse().unwrap());
    let (seeds, errors) = (Mutex::new(0..schedules), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let next = || seeds.lock().unwrap().next();
                while let Some(seed) = next() {
                    let met = schedule(seed);
                    errors.lock().unwrap().extend(met);
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap();
    for error in errors.iter().filter(|error| error.contains("injected") || error.contains("no answer")) {
        // Which request, and of what.
        let named = ["`faulty:/", "`in/", "`out/", "store::text_file_stream(faulty:/"];
        assert!(named.iter().any(|place| error.contains(place)), "{error}");
    }
}

#[test]
fn errors_say_how_often_requests_failed() {
    let objects = Arc::new(Faulty::default());
    let store = at(&objects, "app", Duration::from_secs(60));
    let force = |fate| *objects.forced.lock().unwrap() = fate;
    let put = |name: &str| {
        store.put(name, &mut |out| {
            out.write_all(b"0123456789").unwrap();
            Ok(())
        })
    };
    put("checkpoint-1").unwrap();
    force(Some(Fate::Refused));
    let refused = [(); 3].map(|()| put("checkpoint-2").unwrap_err().to_string());
    assert!(refused[0].starts_with("writing `faulty://app/checkpoint-2`: "), "{refused:?}");
    assert!(!refused[0].contains("in a row"), "{refused:?}");
    assert!(refused[2].contains("3 requests in a row have failed, the last: injected: a put"), "{refused:?}");
    force(Some(Fate::Hangs { done: true }));
    let error = store.list("").unwrap_err().to_string();
    assert!(
        error.contains("4 requests in a row have failed, the last: there was no answer within 300ms"),
        "{error}"
    );
    // Half an object is no object.
    force(Some(Fate::Cut));
    let error = store.get("checkpoint-1").unwrap().read_to_end(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the answer has ended, and 5 bytes were to come"), "{error}");
    force(None);
    let mut bytes = Vec::new();
    store.get("checkpoint-1").unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"0123456789");
    // An answer begins the count anew.
    force(Some(Fate::Lost));
    assert!(!put("checkpoint-2").unwrap_err().to_string().contains("in a row"));
    force(None);
    assert!(put("checkpoint-2").unwrap_err().to_string().contains("already exists"));
}

#[test]
fn any_object_store_keeps_the_promises() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    check_store(|| Store::new(objects.clone(), "app/checkpoint").unwrap()).unwrap();
    let error = Store::new(objects, "a//b").unwrap_err().to_string();
    assert!(error.contains("can't open the store `a//b`"), "{error}");
}

#[test]
fn the_requests_of_a_batch_do_not_grow_with_age() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batches: u64 = std::env::var("STORE_BATCHES").map_or(3_000, |count| count.parse().unwrap());
    let objects = Arc::new(Faulty::default());
    let store = |path: &str| Store::new(objects.clone(), path).unwrap().lease(Duration::from_secs(3_600));
    let (checkpoint, input) = (store("checkpoint"), store("in"));
    let totals = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
        let words = text_file_stream(&input).flat_map(|line| line.split_whitespace());
        let totals = words.map(|word| (word, 1u64)).update_state_by_key(|new: &[u64], total: Option<u64>| {
            Some(total.unwrap_or(0) + new.iter().sum::<u64>())
        });
        totals.foreach_rdd(|rdd| drop(rdd)).named("totals");
    })
    .unwrap();
    let put = |n: u64| {
        let path = |n: u64| Path::from(format!("in/{n}.txt"));
        if n >= 2 {
            runtime.block_on(objects.inner.delete(&path(n - 2))).unwrap();
        }
        runtime.block_on(objects.inner.put(&path(n), format!("every word{}\n", n % 100).into())).unwrap();
    };
    let count = || {
        let counts = [&objects.puts, &objects.gets, &objects.lists, &objects.scans, &objects.listed];
        counts.map(|count| count.load(Ordering::Relaxed))
    };
    // What is made once, at the start.
    totals.run_batches(1).unwrap();
    let mut most = [[0; 3]; 2];
    let mut thousands = Vec::new();
    for thousand in 0..batches / 1_000 {
        let begun = count();
        for n in thousand * 1_000..(thousand + 1) * 1_000 {
            // Every second batch has an object.
            let changes = n % 2 == 0;
            if changes {
                put(n);
            }
            let before = count();
            totals.run_batches(1).unwrap();
            let after = count();
            let most = &mut most[usize::from(changes)];
            *most = [0, 1, 2].map(|i| most[i].max(after[i] - before[i]));
        }
        let ended = count();
        thousands.push([0, 1, 2, 3, 4].map(|i| ended[i] - begun[i]));
    }
    // That it has begun, and with what; that it is done, and what has changed. The input is listed once.
    let [idle, changing] = most;
    assert_eq!(idle, [2, 0, 1], "a batch that changes nothing");
    assert_eq!(changing, [2, 1, 1], "a batch with one object");
    // The checkpoint is listed by a thread that tidies up and may be behind for a while.
    for (i, what) in ["puts", "gets", "listings", "scans", "names listed"].iter().enumerate() {
        let (young, old) = (thousands[0][i], thousands.last().unwrap()[i]);
        assert!(old <= young + young / 4, "{what}: {young} at first, {old} at last: {thousands:?}");
    }
    let base = Path::from("checkpoint");
    let all = || runtime.block_on(objects.inner.list(Some(&base)).try_collect::<Vec<_>>()).unwrap();
    let begun = Instant::now();
    while all().len() > 20 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", all());
        thread::yield_now();
    }
}
