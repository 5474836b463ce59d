//! What checkpoints cost:
//! `cargo test --release -p dstream-core --lib checkpoint::tests::cost -- --ignored --nocapture`

use std::{collections::HashMap, time::Instant};

use super::*;

const KEYS: u64 = 1_000_000;

/// Counts by word, in a hash table, as an operator keeps them.
#[derive(Default)]
struct Counts(HashMap<String, u64, foldhash::fast::RandomState>);

impl Stateful for Counts {
    fn fingerprint(&self) -> String {
        "String -> u64".to_owned()
    }

    fn changes(&mut self, _out: &mut Changes) {}

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.0.insert(decode(key)?, decode(value)?);
        Ok(())
    }
}

fn bytes(dir: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    // Some go while they are counted.
    files.filter_map(|f| Some(f.ok()?.metadata().ok()?.len())).sum()
}

#[test]
#[ignore = "prints figures of a release build"]
#[allow(clippy::print_stdout)]
fn a_million_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn CheckpointStore> = Arc::new(LocalDir::new(dir.path()));
    let mut counts = Counts::default();
    let (mut checkpointer, ..) =
        resume(store.clone(), &mut [("counts", &mut counts)], &[], Policy::default()).unwrap();
    let change = |keys: &mut dyn Iterator<Item = u64>, value: u64| {
        let mut changes = Changes::new();
        keys.for_each(|key| changes.put(&format!("word{key:07}"), &value));
        vec![("counts".to_owned(), changes)]
    };

    let start = Instant::now();
    let all = change(&mut (0..KEYS), 0);
    checkpointer.commit(progress(0), all).unwrap();
    let (whole, whole_bytes) = (start.elapsed(), bytes(dir.path()));
    println!("all {KEYS} keys: {whole:.1?}, {whole_bytes} bytes");

    let mut times = Vec::new();
    for batch in 1..=150u64 {
        let start = Instant::now();
        let changes = change(&mut (0..KEYS / 100).map(|n| (n * 7919 + batch * 104_729) % KEYS), batch);
        checkpointer.commit(progress(batch), changes).unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let (median, p99, worst) = (times[75], times[148], times[149]);
    println!("1% of them: median {median:.1?}, 99% within {p99:.1?}, at most {worst:.1?}");
    let mut files: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().filter_map(|f| Some(f.ok()?.path())).collect();
    files.sort_unstable();
    let newest = files.iter().rfind(|f| f.to_string_lossy().contains("checkpoint-")).unwrap();
    println!("its checkpoint has {} bytes", newest.metadata().unwrap().len());
    let mut empty: Vec<_> = (0..150)
        .map(|_| {
            let start = Instant::now();
            checkpointer.commit(progress(2), vec![]).unwrap();
            start.elapsed()
        })
        .collect();
    empty.sort_unstable();
    println!("none of them: median {:.1?}, 99% within {:.1?}", empty[75], empty[148]);
    println!("a batch waits for 1/{:.0} of the time of all keys", whole.as_secs_f64() / median.as_secs_f64());
    checkpointer.settle();
    let segments = checkpointer.segments().len();
    drop(checkpointer);

    let start = Instant::now();
    let session = Session::open(store).unwrap();
    let checked = start.elapsed();
    let mut counts = Counts::default();
    let mut slots = [Slot { name: "counts", kind: "test", state: &mut counts }];
    let (_checkpointer, restored) = session.resume(&mut slots, &[], Policy::default()).unwrap();
    let took = start.elapsed();
    assert_eq!((restored.entries, counts.0.len() as u64), (KEYS, KEYS));
    println!(
        "restored in {took:.1?}, of which {checked:.1?} to know that it is whole: {segments} segments, {} \
         bytes",
        bytes(dir.path())
    );
}
