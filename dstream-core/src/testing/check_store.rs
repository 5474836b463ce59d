//! The conformance test of checkpoint stores.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
    thread,
};

use bytes::Bytes;

use crate::{
    Error, Result, Time,
    checkpoint::{
        Changes, CheckpointError, CheckpointStore, IntoCheckpointStore, LogBlock, Progress, Session, Slot,
        Stateful, Storage, WriteAheadLog,
    },
    testing::ManualClock,
};

/// Checks that a [`CheckpointStore`] keeps the promises of its contract: for tests of those who write one.
///
/// `open` opens the same place each time, which is empty at first; what it returns is a store or what can
/// become one. Some thousand small objects are written there, one of 3 MiB, and at last a checkpoint with its
/// log. `Err` says which promise was broken, and how. What can't be seen from one machine is left to you:
/// that objects survive a loss of power, and that a lease ends in time.
///
/// ```
/// use dstream::testing::{SimDisk, check_store};
///
/// let disk = SimDisk::new(1);
/// check_store(|| &disk)?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn check_store<S: IntoCheckpointStore>(open: impl Fn() -> S) -> Result<()> {
    let open = || open().into_checkpoint_store();
    let check = |promise: &str, outcome: Outcome| {
        outcome.map_err(|what| Error::Invalid(format!("the store breaks the promise \"{promise}\": {what}")))
    };
    check("one process writes at a time", exclusive(&open))?;
    // Stores may write under the lock only.
    let store = open().store;
    let lock = store.lock()?;
    let other = open().store;
    check("the place is empty at first", empty(&*store))?;
    check("what was put can be read, by others too", put(&*store, &*other))?;
    check("an object is put only where there is none", put_again(&*store))?;
    check("an object is there whole or not at all", put_fails(&*store))?;
    check("an object can be read from any byte on", ranges(&*store))?;
    check("objects can be put in parallel", parallel(&store))?;
    check("all objects that begin with a prefix are listed", list(&*store, &*other))?;
    check("an object that is deleted is gone, and no other", delete(&*store))?;
    check("what was appended and synced can be read", append(&*store, &*other))?;
    check("the log of receivers comes back", log(&open))?;
    let names = store.list("").map_err(|e| Error::io("listing what the test has stored", e))?;
    names
        .iter()
        .try_for_each(|name| store.delete(name))
        .map_err(|e| Error::io("deleting what the test has stored", e))?;
    drop(lock);
    check("a checkpoint comes back", checkpoint(&open))
}

type Outcome = std::result::Result<(), String>;

/// What was found and what was expected.
fn differ(what: &str, found: impl Debug, expected: impl Debug) -> String {
    format!("{what}: found {found:?}, expected {expected:?}")
}

fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(differ(what, found, expected)) }
}

fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what} failed: {error}")
}

fn store_bytes(
    store: &dyn CheckpointStore,
    name: &str,
    bytes: &[u8],
) -> std::result::Result<(), CheckpointError> {
    store.put(name, &mut |out| {
        out.write_all(bytes).map_err(|e| CheckpointError::io(format_args!("writing `{name}`"), e))
    })
}

fn read(store: &dyn CheckpointStore, name: &str, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut object = if offset == 0 { store.get(name)? } else { store.get_from(name, offset)? };
    object.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bytes tell two objects apart in a message.
fn sketch(bytes: &[u8]) -> (usize, u32) {
    (bytes.len(), crc32fast::hash(bytes))
}

fn is_there(store: &dyn CheckpointStore, name: &str, expected: &[u8]) -> Outcome {
    let found = read(store, name, 0).map_err(failed(&format!("get(\"{name}\")")))?;
    same(&format!("length and checksum of get(\"{name}\")"), sketch(&found), sketch(expected))
}

fn is_missing(store: &dyn CheckpointStore, name: &str) -> Outcome {
    let found = store.get(name).map(|_| "an object").map_err(|e| e.kind());
    same(&format!("get(\"{name}\")"), found, Err(ErrorKind::NotFound))?;
    let listed = store.list("").map_err(failed("list(\"\")"))?;
    if listed.iter().any(|listed| listed == name) {
        return Err(format!("list(\"\") names `{name}`, which is not there"));
    }
    Ok(())
}

fn exclusive(open: &impl Fn() -> Storage) -> Outcome {
    let (first, second) = (open().store, open().store);
    let lock = first.lock().map_err(failed("lock()"))?;
    same("lost() of a lock that was just taken", lock.lost(), None)?;
    for (store, which) in [(&first, "the same"), (&second, "another")] {
        match store.lock() {
            Err(CheckpointError::Busy { .. }) => {}
            Err(error) => {
                return Err(differ("lock() while it is held", error.to_string(), "`CheckpointError::Busy`"));
            }
            Ok(_) => return Err(format!("lock() of {which} store is granted while it is held")),
        }
    }
    drop(lock);
    second.lock().map(drop).map_err(failed("lock() after it was dropped"))
}

fn empty(store: &dyn CheckpointStore) -> Outcome {
    same("list(\"\")", store.list("").map_err(failed("list(\"\")"))?, Vec::new())?;
    is_missing(store, "checkpoint-0")?;
    if store.describe("checkpoint-0").contains("checkpoint-0") && !store.describe("").is_empty() {
        return Ok(());
    }
    Err("describe(\"checkpoint-0\") does not name the object, or describe(\"\") says nothing".to_owned())
}

fn put(store: &dyn CheckpointStore, other: &dyn CheckpointStore) -> Outcome {
    let large: Vec<u8> = (0..3u32 << 20).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect();
    for (name, bytes) in [("put-empty", &[][..]), ("put-small", b"\x00\xff\r\n"), ("put-large", &large)] {
        // In pieces that fit no block.
        let write = &mut |out: &mut dyn Write| {
            let mut pieces = bytes.chunks(65_537);
            pieces.try_for_each(|piece| out.write_all(piece)).map_err(|e| CheckpointError::io("writing", e))
        };
        store.put(name, write).map_err(failed(&format!("put(\"{name}\")")))?;
        is_there(store, name, bytes)?;
        is_there(other, name, bytes).map_err(|what| format!("in the store that was opened again, {what}"))?;
    }
    Ok(())
}

fn put_again(store: &dyn CheckpointStore) -> Outcome {
    store_bytes(store, "again-1", b"first").map_err(failed("put"))?;
    let outcome = match store_bytes(store, "again-1", b"second") {
        Err(CheckpointError::Io { error, .. }) => Err(error.kind()),
        Err(error) => {
            return Err(differ("put of a name that there is", error.to_string(), "`CheckpointError::Io`"));
        }
        Ok(()) => Ok(()),
    };
    same("put of a name that there is", outcome, Err(ErrorKind::AlreadyExists))?;
    is_there(store, "again-1", b"first")
}

fn put_fails(store: &dyn CheckpointStore) -> Outcome {
    let outcome = store.put("partial-1", &mut |out| {
        let _ = out.write_all(&[7; 100_000]);
        Err(CheckpointError::io("writing", io::Error::other("the content can't be had")))
    });
    match outcome {
        Err(error) if error.to_string().contains("the content can't be had") => {}
        Err(error) => return Err(differ("put of a content that fails", error.to_string(), "its own error")),
        Ok(()) => return Err("put reports as stored what could not be written".to_owned()),
    }
    is_missing(store, "partial-1")?;
    store_bytes(store, "partial-1", b"whole")
        .map_err(failed("put of a name under which a put has failed"))?;
    is_there(store, "partial-1", b"whole")
}

fn ranges(store: &dyn CheckpointStore) -> Outcome {
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    store_bytes(store, "ranges-1", &bytes).map_err(failed("put"))?;
    for offset in [1, 4_095, 65_536, 99_999, 100_000, 200_000] {
        let what = format!("get_from(\"ranges-1\", {offset}) of 100000 bytes");
        let found = read(store, "ranges-1", offset as u64).map_err(failed(&what))?;
        same(&what, sketch(&found), sketch(bytes.get(offset..).unwrap_or_default()))?;
    }
    Ok(())
}

fn parallel(store: &Arc<dyn CheckpointStore>) -> Outcome {
    let names: Vec<String> = (0..8).map(|n| format!("parallel-{n}")).collect();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let puts: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(move || store_bytes(&**store, name, name.repeat(10_000).as_bytes())))
            .collect();
        puts.into_iter().map(|put| put.join()).collect()
    });
    for (name, outcome) in names.iter().zip(outcomes) {
        outcome.map_err(|_| "put panicked".to_owned())?.map_err(failed("put"))?;
        is_there(&**store, name, name.repeat(10_000).as_bytes())?;
    }
    Ok(())
}

fn list(store: &dyn CheckpointStore, other: &dyn CheckpointStore) -> Outcome {
    // Stores that answer in pages often end a page at 1,000 names.
    let names: BTreeSet<String> = (0..1_100).map(|n| format!("page-{n:05}")).collect();
    for name in &names {
        store_bytes(store, name, b"").map_err(failed("put"))?;
    }
    for store in [store, other] {
        let found: BTreeSet<String> =
            store.list("page-").map_err(failed("list(\"page-\")"))?.into_iter().collect();
        if let Some(missing) = names.difference(&found).next() {
            let found = found.len();
            return Err(format!("list(\"page-\") gives {found} names of 1100, and not `{missing}`"));
        }
        if let Some(other) = found.difference(&names).next() {
            return Err(format!("list(\"page-\") gives `{other}`"));
        }
        let found: BTreeSet<String> = store.list("page-0000").map_err(failed("list"))?.into_iter().collect();
        same("number of names of list(\"page-0000\")", found.len(), 10)?;
    }
    names.iter().try_for_each(|name| store.delete(name)).map_err(failed("delete"))
}

fn delete(store: &dyn CheckpointStore) -> Outcome {
    for name in ["delete-1", "delete-10"] {
        store_bytes(store, name, name.as_bytes()).map_err(failed("put"))?;
    }
    store.delete("delete-1").map_err(failed("delete"))?;
    is_missing(store, "delete-1")?;
    is_there(store, "delete-10", b"delete-10")?;
    match store.delete("delete-1") {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(differ("delete of what is not there", e.kind(), "no error, or `NotFound`"))
        }
        _ => Ok(()),
    }
}

fn append(store: &dyn CheckpointStore, other: &dyn CheckpointStore) -> Outcome {
    let name = "log-00000000000000000001";
    let Some(mut out) = store.append(name).map_err(failed("append"))? else { return Ok(()) };
    for n in 1..=3u8 {
        out.write_all(&[n; 1_000]).map_err(failed("write"))?;
        out.sync().map_err(failed("sync"))?;
        let expected: Vec<u8> = (1..=n).flat_map(|n| [n; 1_000]).collect();
        for store in [store, other] {
            is_there(store, name, &expected)?;
            let found = read(store, name, expected.len() as u64 - 1).map_err(failed("get_from"))?;
            same("the last byte", found, vec![n])?;
        }
    }
    drop(out);
    let listed = other.list("log-").map_err(failed("list"))?;
    same("list(\"log-\")", listed, vec![name.to_owned()])?;
    match store.append(name) {
        Err(CheckpointError::Io { error, .. }) if error.kind() == ErrorKind::AlreadyExists => {}
        outcome => {
            let outcome = outcome.map(|_| "an object").map_err(|error| error.to_string());
            return Err(differ("append to a name that there is", outcome, ErrorKind::AlreadyExists));
        }
    }
    store.seal(name, 1_500).map_err(failed("seal"))?;
    is_there(other, name, &[[1; 1_000].as_slice(), &[2; 500]].concat())
        .map_err(|what| format!("after seal(.., 1500): {what}"))?;
    store.delete(name).map_err(failed("delete"))?;
    is_missing(store, name)
}

/// Blocks of three lives.
fn log(open: &impl Fn() -> Storage) -> Outcome {
    let mut expected = Vec::new();
    for life in 0..4u64 {
        let Storage { store, log: options, .. } = open();
        let mut found = Vec::new();
        let clock = Arc::new(ManualClock::default());
        let mut log = WriteAheadLog::open(store, clock, options, None, &mut |block| found.push(block))
            .map_err(failed("opening the log"))?;
        same("numbers of the blocks", found.iter().map(|f| f.block).collect(), expected.clone())?;
        for found in found {
            let bytes = log.reader().read(found.place).map_err(failed("reading a block"))?;
            same("a block", bytes, Bytes::from(vec![found.block as u8; 1_000]))?;
        }
        for number in life * 10..life * 10 + 10 {
            let bytes = vec![number as u8; 1_000].into();
            let block = LogBlock { stream: "check".into(), block: number, bytes };
            log.append(&[block]).map_err(failed("appending to the log"))?;
            expected.push(number);
        }
    }
    Ok(())
}

/// A state that is one number.
#[derive(Default)]
struct Number(Option<u64>);

impl Stateful for Number {
    fn fingerprint(&self) -> String {
        "u64".to_owned()
    }

    fn changes(&mut self, _: &mut Changes) {}

    fn restore(&mut self, _: &[u8], value: &[u8]) -> std::result::Result<(), String> {
        self.0 = Some(crate::checkpoint::decode(value)?);
        Ok(())
    }
}

/// A state over several lives, in the place that has other objects by now.
fn checkpoint(open: &impl Fn() -> Storage) -> Outcome {
    let mut before = None;
    for life in 0..3u64 {
        let Storage { store, policy, .. } = open();
        let session = Session::open(Arc::clone(&store)).map_err(failed("opening the checkpoint"))?;
        let mut state = Number::default();
        let mut slots = [Slot { name: "number", kind: "check", state: &mut state }];
        let (mut writer, _) = session.resume(&mut slots, &[], policy).map_err(failed("going on"))?;
        same("the state", state.0, before)?;
        for n in 1..=20 {
            let mut changes = Changes::new();
            before = Some(life * 100 + n);
            changes.put("key", &before);
            let progress = Progress { batch_time: Time::from_millis(n), ..Progress::default() };
            writer.commit(progress, vec![("number".to_owned(), changes)]).map_err(failed("a commit"))?;
        }
    }
    Ok(())
}
