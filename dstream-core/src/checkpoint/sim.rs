//! A file system in memory that forgets what was not synced, and fails where it is told to.
//!
//! Deterministic: the same seed and the same calls give the same failures.

use crate::sync::Unpoisoned;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Cursor, Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use super::fs::{Fs, FsFile, Lock};

/// Numbers that look random.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// What goes wrong. Calls are counted from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The process ends in this call.
    pub(crate) kill_at: Option<u64>,
    /// During these calls the disk is full.
    pub(crate) full: Option<Range<u64>>,
    /// The first sync from this call on fails.
    pub(crate) bad_sync_from: Option<u64>,
}

/// A file system. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimFs(Arc<Mutex<State>>);

#[derive(Clone)]
struct State {
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    /// The names that a loss of power leaves.
    safe_names: BTreeMap<PathBuf, usize>,
    locks: BTreeSet<PathBuf>,
    /// How often the process was ended: files and locks of an earlier one do nothing.
    life: u64,
    calls: u64,
    faults: Faults,
    killed: bool,
    rng: Rng,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What a loss of power leaves.
    safe: Vec<u8>,
    /// After a sync that failed the system believes that nothing is left to write.
    forgotten: bool,
}

impl SimFs {
    pub(crate) fn new(seed: u64) -> SimFs {
        SimFs(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            locks: BTreeSet::new(),
            life: 0,
            calls: 0,
            faults: Faults::default(),
            killed: false,
            rng: Rng(seed),
        })))
    }

    /// A file system of its own that is the same now, as a new process finds it.
    #[cfg(test)]
    pub(crate) fn fork(&self) -> SimFs {
        let fork = SimFs(Arc::new(Mutex::new(self.state().clone())));
        fork.restart(false);
        fork
    }

    /// What goes wrong from now on; calls are counted anew.
    #[cfg(test)]
    pub(crate) fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.calls = 0;
        state.faults = faults;
    }

    /// Changes what goes wrong; calls are not counted anew.
    pub(crate) fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// How many calls there were since the faults were set.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Ends the process, if it has not ended; with a loss of power, what was not synced is partly lost.
    pub(crate) fn restart(&self, power_loss: bool) {
        let mut state = self.state();
        if power_loss {
            state.lose_power();
        }
        state.life += 1;
        state.killed = false;
        state.locks.clear();
        state.calls = 0;
        state.faults = Faults::default();
    }

    /// Whether the process was ended, and has not been started anew.
    pub(crate) fn is_killed(&self) -> bool {
        self.state().killed
    }

    /// The files that there are.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Damages a file.
    pub(crate) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let State { names, files, .. } = &mut *state;
        if let Some(file) = names.get(path).and_then(|id| files.get_mut(*id)) {
            change(&mut file.bytes);
            file.safe.clone_from(&file.bytes);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unpoisoned()
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimFs").field("files", &state.names.len()).field("calls", &state.calls).finish()
    }
}

fn killed() -> io::Error {
    io::Error::other("the process was killed")
}

impl State {
    /// Counts a call; `Err` if the process ends in it.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        self.killed |= self.faults.kill_at == Some(call);
        if self.killed { Err(killed()) } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        let call = self.calls.saturating_sub(1);
        self.faults.full.as_ref().is_some_and(|full| full.contains(&call))
    }

    fn bad_sync(&mut self) -> io::Result<()> {
        let call = self.calls.saturating_sub(1);
        if self.faults.bad_sync_from.is_some_and(|from| call >= from) {
            self.faults.bad_sync_from = None;
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn lose_power(&mut self) {
        let paths: BTreeSet<PathBuf> = self.names.keys().chain(self.safe_names.keys()).cloned().collect();
        for path in paths {
            // Each change of a name that was not synced happened or did not, in no order.
            let survivors = if self.rng.below(2) == 0 { &self.names } else { &self.safe_names };
            match survivors.get(&path).copied() {
                Some(id) => self.safe_names.insert(path, id),
                None => self.safe_names.remove(&path),
            };
        }
        self.names.clone_from(&self.safe_names);
        for file in &mut self.files {
            let lost = file.bytes.get(file.safe.len()..).unwrap_or_default().to_vec();
            let some = self.rng.below(lost.len() as u64 + 1) as usize;
            match self.rng.below(3) {
                // Nothing more than what was synced.
                0 => {}
                // A part of it.
                1 => file.safe.extend(&lost[..some]),
                // As long as it was, but with a hole.
                _ => {
                    let hole = some + self.rng.below((lost.len() - some) as u64 + 1) as usize;
                    file.safe.extend(&lost[..some]);
                    file.safe.extend(std::iter::repeat_n(0, hole - some));
                    file.safe.extend(&lost[hole..]);
                }
            }
            file.bytes.clone_from(&file.safe);
            file.forgotten = false;
        }
    }
}

impl Fs for SimFs {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        self.state().call()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut state = self.state();
        state.call()?;
        if state.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let id = state.files.len();
        state.files.push(Inode::default());
        state.names.insert(path.to_owned(), id);
        Ok(Box::new(SimFile { fs: self.clone(), id, life: state.life }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let mut state = self.state();
        state.call()?;
        let id = state.find(path)?;
        Ok(Box::new(Cursor::new(state.files[id].bytes.clone())))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.call()?;
        Ok(state.names.contains_key(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let id = state.find(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.find(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call()?;
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.bad_sync()?;
        let State { names, safe_names, .. } = &mut *state;
        safe_names.retain(|path, _| path.parent() != Some(dir));
        safe_names.extend(
            names.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(p, id)| (p.clone(), *id)),
        );
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Lock, String>> {
        let mut state = self.state();
        state.call()?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(Err("process 1".to_owned()));
        }
        Ok(Ok(Box::new(SimLock { fs: self.clone(), path: path.to_owned(), life: state.life })))
    }
}

struct SimFile {
    fs: SimFs,
    id: usize,
    life: u64,
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.fs.state();
        if state.life != self.life {
            return Err(killed());
        }
        let ended = state.call();
        let full = state.is_full();
        // A write that fails may have written a part.
        let part = state.rng.below(bytes.len() as u64 + 1) as usize;
        let written = if ended.is_err() || full { &bytes[..part] } else { bytes };
        state.files[self.id].bytes.extend_from_slice(written);
        ended?;
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.fs.state();
        if state.life != self.life {
            return Err(killed());
        }
        state.call()?;
        // Some file systems find out only here that there is no space.
        let bad = match state.is_full() && state.rng.below(2) == 0 {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => state.bad_sync(),
        };
        let file = &mut state.files[self.id];
        file.forgotten |= bad.is_err();
        if !file.forgotten {
            file.safe.clone_from(&file.bytes);
        }
        bad
    }
}

struct SimLock {
    fs: SimFs,
    path: PathBuf,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.fs.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}
