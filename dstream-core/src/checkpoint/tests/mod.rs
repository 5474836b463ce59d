//! Tests of the storage of checkpoints.

mod cost;
mod crashes;
mod damage;
mod log;
mod object_store;
mod storage;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Changes, CheckpointError, CheckpointStore, Checkpointer, LocalDir, Policy, Progress, Restored, Session,
    Slot, Stateful, StoreLock, decode, sim::SimFs,
};
use crate::Time;

/// A map that is kept, and remembers what has changed.
pub(super) struct Map<V> {
    pub(super) entries: BTreeMap<String, V>,
    changed: Changes,
}

impl<V: Serialize> Map<V> {
    pub(super) fn new() -> Map<V> {
        Map { entries: BTreeMap::new(), changed: Changes::new() }
    }

    pub(super) fn put(&mut self, key: &str, value: V) {
        self.changed.put(key, &value);
        self.entries.insert(key.to_owned(), value);
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.changed.delete(key);
        self.entries.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.changed.clear();
        self.entries.clear();
    }

    pub(super) fn take(&mut self) -> Changes {
        let mut changes = Changes::new();
        std::mem::swap(&mut changes, &mut self.changed);
        changes
    }
}

impl<V: Serialize + DeserializeOwned + Send> Stateful for Map<V> {
    fn fingerprint(&self) -> String {
        format!("String -> {}", std::any::type_name::<V>())
    }

    fn changes(&mut self, out: &mut Changes) {
        out.append(self.take());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match self.entries.insert(decode(key)?, decode(value)?) {
            None => Ok(()),
            Some(_) => Err("a key came twice".to_owned()),
        }
    }
}

/// Goes on with these operators.
pub(super) fn resume(
    store: Arc<dyn CheckpointStore>,
    operators: &mut [(&str, &mut dyn Stateful)],
    forget: &[&str],
    policy: Policy,
) -> Result<(Checkpointer, Restored, Option<Progress>), CheckpointError> {
    let session = Session::open(store)?;
    let progress = session.recovered().map(|r| r.progress().clone());
    let mut slots: Vec<_> =
        operators.iter_mut().map(|(name, state)| Slot { name, kind: "test", state: &mut **state }).collect();
    let forget: Vec<_> = forget.iter().map(|s| (*s).to_owned()).collect();
    let (checkpointer, restored) = session.resume(&mut slots, &forget, policy)?;
    Ok((checkpointer, restored, progress))
}

pub(super) fn progress(batch: u64) -> Progress {
    Progress { batch_time: Time::from_millis(batch), ..Progress::default() }
}

pub(super) fn sim_dir(fs: &SimFs) -> Arc<dyn CheckpointStore> {
    Arc::new(LocalDir::with_fs(Arc::new(fs.clone()), PathBuf::from("/ckpt")))
}

pub(super) fn small() -> Policy {
    Policy::simulated()
}
