//! The seam for object stores: one with a conditional create, no rename and no real lock.

use std::{
    io::{self, Cursor, ErrorKind, Read, Write},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{super::sim::Rng, *};
use crate::{
    sync::Unpoisoned,
    testing::{SimDisk, check_store},
};

/// Objects in memory. A create may report a failure although the object is there, as over a network.
#[derive(Debug, Default)]
struct Objects {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    creates: AtomicU64,
    unreliable: bool,
    /// Whether a second program is kept out; `None` if not.
    held: Option<Arc<AtomicBool>>,
    fault: Fault,
}

/// How a store breaks its contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Fault {
    #[default]
    None,
    Overwrites,
    KeepsParts,
    SwallowsErrors,
    Truncates,
    ListsPages,
    ListsAll,
    ReadsFromTheBeginning,
    HidesErrors,
    KeepsDeleted,
    DeletesPrefix,
}

impl Objects {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unpoisoned()
    }
}

struct Lease(Option<Arc<AtomicBool>>);

impl StoreLock for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.iter().for_each(|held| held.store(false, Ordering::Relaxed));
    }
}

impl CheckpointStore for Objects {
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let failed = |kind: ErrorKind| {
            CheckpointError::io(format_args!("writing `{}`", self.describe(name)), kind.into())
        };
        let mut bytes = Vec::new();
        let written = write(&mut bytes);
        if written.is_err() && self.fault == Fault::KeepsParts {
            self.all().insert(name.to_owned(), bytes.clone());
        }
        if self.fault != Fault::SwallowsErrors {
            written?;
        }
        if self.fault == Fault::Truncates {
            bytes.truncate(1 << 20);
        }
        let outcome = Rng(self.creates.fetch_add(1, Ordering::Relaxed)).below(6);
        if self.unreliable && outcome == 0 {
            return Err(failed(ErrorKind::ConnectionReset));
        }
        if self.all().contains_key(name) && self.fault != Fault::Overwrites {
            return Err(failed(ErrorKind::AlreadyExists));
        }
        self.all().insert(name.to_owned(), bytes);
        if self.unreliable && outcome == 1 {
            return Err(failed(ErrorKind::TimedOut));
        }
        Ok(())
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let missing = if self.fault == Fault::HidesErrors { ErrorKind::Other } else { ErrorKind::NotFound };
        let object = self.all().get(name).cloned().ok_or(missing)?;
        Ok(Box::new(Cursor::new(object)))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let count = if self.fault == Fault::ListsPages { 1_000 } else { usize::MAX };
        let prefix = if self.fault == Fault::ListsAll { "" } else { prefix };
        Ok(self.all().keys().filter(|name| name.starts_with(prefix)).take(count).cloned().collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        match self.fault {
            Fault::KeepsDeleted => {}
            Fault::DeletesPrefix => self.all().retain(|other, _| !other.starts_with(name)),
            _ => drop(self.all().remove(name)),
        }
        Ok(())
    }

    fn get_from(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let from = if self.fault == Fault::ReadsFromTheBeginning { 0 } else { offset };
        let mut object = self.get(name)?;
        io::copy(&mut (&mut object).take(from), &mut io::sink())?;
        Ok(object)
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
        match &self.held {
            Some(held) if held.swap(true, Ordering::Relaxed) => {
                Err(CheckpointError::Busy { place: self.describe(""), owner: "another program".to_owned() })
            }
            held => Ok(Box::new(Lease(held.clone()))),
        }
    }

    fn describe(&self, name: &str) -> String {
        format!("mem://bucket/{name}")
    }
}

#[test]
fn state_comes_back_from_an_unreliable_one() {
    let store = Arc::new(Objects { unreliable: true, ..Objects::default() });
    let (mut expected, mut committed) = (BTreeMap::new(), None);
    for run in 0..20u64 {
        let mut map = Map::new();
        let (mut checkpointer, _, found) =
            resume(store.clone(), &mut [("map", &mut map)], &[], small()).unwrap();
        assert_eq!(found.map(|found| found.batch_time.as_millis()), committed);
        assert_eq!(map.entries, expected);
        for batch in run * 100..run * 100 + 30 {
            map.put(&format!("key {}", batch * 7 % 31), batch);
            map.remove(&format!("key {}", batch * 5 % 31));
            let mut outcome = checkpointer.commit(progress(batch), vec![("map".to_owned(), map.take())]);
            while let Err(error) = outcome {
                assert!(error.is_transient(), "{error}");
                outcome = checkpointer.commit(progress(batch), vec![]);
            }
            committed = Some(batch);
        }
        expected = map.entries;
        assert!(store.all().len() < 100, "what nobody needs is deleted: {}", store.all().len());
    }
}

/// Where nothing keeps a second program out, no object of the first is overwritten, and the one that comes
/// second ends.
#[test]
fn the_second_of_two_writers_ends() {
    let store = Arc::new(Objects::default());
    let [mut one, mut two] = [0, 1]
        .map(|_| resume(store.clone(), &mut [("map", &mut Map::<u64>::new())], &[], small()).unwrap().0);
    one.commit(progress(1), vec![]).unwrap();
    let error = two.commit(progress(2), vec![]).unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().starts_with("writing `mem://bucket/checkpoint-"), "{error}");
    one.commit(progress(3), vec![]).unwrap();
}

fn objects(fault: Fault) -> Arc<Objects> {
    Arc::new(Objects { fault, held: Some(Arc::default()), ..Objects::default() })
}

#[test]
fn the_stores_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    check_store(|| dir.path().join("new")).unwrap();
    let disk = SimDisk::new(7);
    check_store(|| &disk).unwrap();
    let objects = objects(Fault::None);
    check_store(|| Arc::clone(&objects)).unwrap();
}

#[test]
fn a_store_that_breaks_the_contract_is_found_out() {
    let broken = [
        (Fault::Overwrites, "put only where there is none"),
        (Fault::KeepsParts, "whole or not at all"),
        (Fault::SwallowsErrors, "whole or not at all"),
        (Fault::Truncates, "can be read, by others too"),
        (Fault::ListsPages, "that begin with a prefix are listed"),
        (Fault::ListsAll, "that begin with a prefix are listed"),
        (Fault::ReadsFromTheBeginning, "from any byte on"),
        (Fault::HidesErrors, "empty at first"),
        (Fault::KeepsDeleted, "gone, and no other"),
        (Fault::DeletesPrefix, "gone, and no other"),
    ];
    for (fault, promise) in broken {
        let objects = objects(fault);
        let error = check_store(|| Arc::clone(&objects)).unwrap_err().to_string();
        assert!(error.contains(promise), "{fault:?}: {error}");
    }
    // Nobody is kept out.
    let open = Arc::new(Objects::default());
    let error = check_store(|| Arc::clone(&open)).unwrap_err().to_string();
    assert!(error.contains("granted while it is held"), "{error}");
    // What one has put, another does not see.
    let error = check_store(|| objects(Fault::None)).unwrap_err().to_string();
    assert!(error.contains("one process writes at a time"), "{error}");
    // The place is not empty.
    let used = objects(Fault::None);
    used.all().insert("checkpoint-0".to_owned(), Vec::new());
    assert!(check_store(|| Arc::clone(&used)).unwrap_err().to_string().contains("empty at first"));
}

#[test]
fn a_lost_lease_ends_the_program_before_anything_is_written() {
    #[derive(Debug)]
    struct Expired(Objects, Arc<AtomicBool>);
    struct Until(Arc<AtomicBool>);
    impl StoreLock for Until {
        fn lost(&self) -> Option<String> {
            self.0.load(Ordering::Relaxed).then(|| "the lease was not renewed in time".to_owned())
        }
    }
    impl CheckpointStore for Expired {
        fn put(
            &self,
            name: &str,
            write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
        ) -> Result<(), CheckpointError> {
            self.0.put(name, write)
        }
        fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
            self.0.get(name)
        }
        fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
            self.0.list(prefix)
        }
        fn delete(&self, name: &str) -> io::Result<()> {
            self.0.delete(name)
        }
        fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
            Ok(Box::new(Until(self.1.clone())))
        }
        fn describe(&self, name: &str) -> String {
            self.0.describe(name)
        }
    }
    let lost = Arc::<AtomicBool>::default();
    let store = Arc::new(Expired(Objects::default(), lost.clone()));
    let (mut writer, ..) =
        resume(store.clone(), &mut [("map", &mut Map::<u64>::new())], &[], small()).unwrap();
    writer.commit(progress(1), vec![]).unwrap();
    let before = store.list("").unwrap();
    lost.store(true, Ordering::Relaxed);
    let error = writer.commit(progress(2), vec![]).unwrap_err();
    assert!(
        !error.is_transient() && error.to_string().contains("the lease was not renewed in time"),
        "{error}"
    );
    assert_eq!(store.list("").unwrap(), before);
}
