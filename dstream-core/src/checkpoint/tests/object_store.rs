//! The seam for object stores: one with a conditional create, no rename and no real lock.

use std::{
    io::{self, Cursor, ErrorKind, Read, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{super::sim::Rng, *};

/// Objects in memory. A create may report a failure although the object is there, as over a network.
#[derive(Debug, Default)]
struct Objects {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    creates: AtomicU64,
    unreliable: bool,
}

impl Objects {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing keeps a second program out.
struct NoLock;

impl StoreLock for NoLock {}

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
        write(&mut bytes)?;
        let outcome = Rng(self.creates.fetch_add(1, Ordering::Relaxed)).below(6);
        if self.unreliable && outcome == 0 {
            return Err(failed(ErrorKind::ConnectionReset));
        }
        if self.all().contains_key(name) {
            return Err(failed(ErrorKind::AlreadyExists));
        }
        self.all().insert(name.to_owned(), bytes);
        if self.unreliable && outcome == 1 {
            return Err(failed(ErrorKind::TimedOut));
        }
        Ok(())
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let object = self.all().get(name).cloned().ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(object)))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        Ok(self.all().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.all().remove(name);
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
        Ok(Box::new(NoLock))
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
                assert!(error.may_pass(), "{error}");
                outcome = checkpointer.commit(progress(batch), vec![]);
            }
            committed = Some(batch);
        }
        expected = map.entries;
        assert!(store.all().len() < 40, "what nobody needs is deleted");
    }
}

/// Where nothing keeps a second program out, no object of the first is overwritten, and the one that comes second ends.
#[test]
fn the_second_of_two_writers_ends() {
    let store = Arc::new(Objects::default());
    let [mut one, mut two] = [0, 1]
        .map(|_| resume(store.clone(), &mut [("map", &mut Map::<u64>::new())], &[], small()).unwrap().0);
    one.commit(progress(1), vec![]).unwrap();
    let error = two.commit(progress(2), vec![]).unwrap_err();
    assert!(!error.may_pass(), "{error}");
    assert!(error.to_string().starts_with("writing `mem://bucket/checkpoint-"), "{error}");
    one.commit(progress(3), vec![]).unwrap();
}
