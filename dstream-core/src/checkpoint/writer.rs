//! The writer of checkpoints: it commits the changelogs of all operators, and schedules compaction.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Changes, CheckpointError, CheckpointStore,
    compact::{Compaction, Housekeeper, Job},
    frame::Kind,
    manifest::{Manifest, Operator, Progress, Segment, object_name},
    segment::{SegmentWriter, entry_bytes, measure},
    store::StoreLock,
    tail::{ENTRY, Tail},
    wal::{LogPosition, ReceiverOffset},
};
use crate::threads::Threads;

/// The retention and compaction policy of checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The number of checkpoints that are retained.
    pub(crate) keep: usize,
    /// The number of segments from which on some are merged.
    pub(crate) max_segments: usize,
    /// The size of the changes, in bytes, below which the base is not rewritten.
    pub(crate) min_bytes: u64,
    /// The maximal size of the tail in bytes: the newest changes, which each commit repeats.
    pub(crate) tail_bytes: u64,
    /// The number of segments that may exist in one file only, before they are merged so that each is in two.
    pub(crate) max_single: usize,
    /// Whether segments are merged on a background thread; a simulation needs every call in order.
    pub(crate) background: bool,
    /// Starts that thread.
    pub(crate) threads: Threads,
}

impl Policy {
    /// Small enough that all that happens in months happens in some batches, and each call in its order.
    pub(crate) fn simulated() -> Policy {
        Policy {
            keep: 3,
            max_segments: 5,
            min_bytes: 60,
            tail_bytes: 48,
            max_single: 3,
            background: false,
            threads: Threads::default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            keep: 3,
            max_segments: 16,
            min_bytes: 1 << 20,
            tail_bytes: 64 << 10,
            max_single: 8,
            background: true,
            threads: Threads::default(),
        }
    }
}

/// Writes the checkpoints of a program.
pub(crate) struct Checkpointer {
    store: Arc<dyn CheckpointStore>,
    policy: Policy,
    operators: Vec<Operator>,
    /// Operators whose entries in `segments` still have an older type, with its fingerprint. Manifests state
    /// it until the operators have rewritten their entries.
    converting: BTreeMap<String, String>,
    /// Operators whose entries in `segments` are valid.
    initialized: BTreeSet<String>,
    /// Changes that are not committed yet: those of a failed commit belong to the next one.
    uncommitted: BTreeMap<String, Changes>,
    segments: Vec<Segment>,
    /// The merged content of the segments from `tail_from` on, if it is small.
    tail: Tail,
    tail_from: usize,
    /// The retained checkpoints, the newest last.
    kept: VecDeque<RetainedCheckpoint>,
    /// The newest checkpoint that could not be read. It is not deleted until enough newer ones exist.
    unreadable: Option<u64>,
    numbers: Arc<AtomicU64>,
    housekeeper: Housekeeper,
    /// After a failed merge: the number of segments at which it is attempted again.
    min_segments_to_merge: usize,
    // Dropped after the housekeeper has ended.
    lock: Arc<dyn StoreLock>,
}

/// A retained checkpoint, and the objects that it needs.
#[derive(Clone, Debug)]
pub(super) struct RetainedCheckpoint {
    pub(super) number: u64,
    pub(super) objects: BTreeSet<String>,
    /// The position from which on it needs the write-ahead log; `None` for its beginning.
    log: Option<LogPosition>,
}

impl RetainedCheckpoint {
    pub(super) fn new(number: u64, manifest: &Manifest) -> RetainedCheckpoint {
        let all = manifest.segments.iter().flat_map(|s| s.instead.iter().chain([s]));
        let mut objects: BTreeSet<_> = all.map(|s| s.object.clone()).collect();
        objects.insert(object_name(Kind::Checkpoint, number));
        let receiver_offsets = manifest.progress.wal.values();
        let log =
            receiver_offsets.map(|bytes| Some(ReceiverOffset::from_bytes(bytes)?.position)).min().flatten();
        RetainedCheckpoint { number, objects, log }
    }
}

/// The state from which a [`Checkpointer`] starts.
pub(super) struct Start {
    pub(super) next: u64,
    pub(super) operators: Vec<Operator>,
    pub(super) converting: BTreeMap<String, String>,
    pub(super) initialized: BTreeSet<String>,
    pub(super) segments: Vec<Segment>,
    /// The merged content of all segments, if it is small.
    pub(super) tail: Option<Tail>,
    pub(super) kept: Vec<RetainedCheckpoint>,
    pub(super) unreadable: Option<u64>,
}

impl Checkpointer {
    pub(super) fn start(
        store: Arc<dyn CheckpointStore>,
        lock: Arc<dyn StoreLock>,
        policy: Policy,
        start: Start,
    ) -> Checkpointer {
        let Start { next, operators, converting, initialized, segments, tail, kept, unreadable } = start;
        let numbers = Arc::new(AtomicU64::new(next));
        let housekeeper = Housekeeper::new(store.clone(), lock.clone(), numbers.clone(), &policy);
        Checkpointer {
            store,
            policy,
            operators,
            converting,
            initialized,
            uncommitted: BTreeMap::new(),
            tail_from: if tail.is_some() { 0 } else { segments.len() },
            tail: tail.unwrap_or_default(),
            segments,
            kept: kept.into(),
            unreadable,
            numbers,
            housekeeper,
            min_segments_to_merge: 0,
            lock,
        }
    }

    /// Commits a checkpoint: the progress of the program, and the changes since the last commit. When this
    /// returns, a restart resumes from here. Returns the number of bytes without framing.
    ///
    /// If it fails, the changes are kept for the next commit, which may succeed unless a sync has failed.
    /// Nothing that waits for this checkpoint may be acknowledged then.
    pub(crate) fn commit(
        &mut self,
        progress: Progress,
        changes: Vec<(String, Changes)>,
    ) -> Result<u64, CheckpointError> {
        for (name, later) in changes {
            if self.operators.iter().all(|o| o.name != name) {
                return Err(CheckpointError::Invalid(format!("`{name}` is no operator of this checkpoint")));
            }
            self.uncommitted.entry(name).or_default().append(later);
        }
        for (operator, changes) in &mut self.uncommitted {
            if let Some(what) = changes.failure() {
                return Err(CheckpointError::Unwritable {
                    operator: operator.clone(),
                    what: what.to_owned(),
                });
            }
            changes.sort();
        }
        self.lock.check(&*self.store)?;
        self.adopt_merged();

        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let object = object_name(Kind::Checkpoint, number);
        let in_tail = self.extend_tail();
        let mut segments = self.segments.get(..self.tail_from).unwrap_or_default().to_vec();
        segments.extend(self.segment(&object, in_tail));
        let writer = concat!("dstream ", env!("CARGO_PKG_VERSION")).to_owned();
        let mut converting = self.converting.clone();
        converting.retain(|name, _| !self.uncommitted.get(name).is_some_and(Changes::is_cleared));
        let operators = self.operators.iter().map(|operator| Operator {
            fingerprint: converting.get(&operator.name).unwrap_or(&operator.fingerprint).clone(),
            ..operator.clone()
        });
        let manifest = Manifest { writer, progress, operators: operators.collect(), segments };
        let encoded = rmp_serde::to_vec_named(&manifest)
            .map_err(|e| CheckpointError::Unwritable { operator: "manifest".into(), what: e.to_string() })?;
        let failed = |e| CheckpointError::io(format_args!("writing `{}`", self.store.describe(&object)), e);
        let (_, bytes) = measure(self.uncommitted.values());
        self.store.put(&object, &mut |out| {
            let mut file = SegmentWriter::new(out, Kind::Checkpoint, &object).map_err(failed)?;
            file.manifest(&encoded).map_err(failed)?;
            if in_tail {
                self.tail.each(|operator, key, value| file.entry(operator, key, value).map_err(failed))?;
            } else {
                for (operator, changes) in &self.uncommitted {
                    for (key, value) in changes.iter() {
                        file.entry(operator, key, value).map_err(failed)?;
                    }
                }
            }
            file.finish().map_err(failed)?;
            Ok(())
        })?;

        self.uncommitted.clear();
        self.converting = converting;
        self.initialized.extend(self.operators.iter().map(|o| o.name.clone()));
        self.kept.push_back(RetainedCheckpoint::new(number, &manifest));
        while self.kept.len() > self.policy.keep.max(1) {
            self.kept.pop_front();
        }
        self.segments = manifest.segments;
        if !in_tail {
            self.tail_from = self.segments.len();
        }
        self.start_housekeeping();
        Ok(bytes + encoded.len() as u64)
    }

    /// The position from which on the retained checkpoints need the write-ahead log; `None` for its
    /// beginning.
    pub(crate) fn log_needed(&self) -> Option<LogPosition> {
        self.kept.iter().map(|kept| kept.log).min().flatten()
    }

    /// Takes the carried changes into the tail if they are few, and begins a new one if it has grown too
    /// large. Returns whether the tail is what is to be written.
    fn extend_tail(&mut self) -> bool {
        let size = Tail::size_of(&self.uncommitted);
        let limit = self.policy.tail_bytes;
        let new = || self.operators.iter().map(|o| &o.name).filter(|name| !self.initialized.contains(*name));
        if size <= limit {
            self.tail.apply(&self.uncommitted, new(), self.tail_from == 0);
            if self.tail.size() <= limit {
                return true;
            }
        }
        // What the tail held stays in the file of the last commit.
        self.tail_from = self.segments.len();
        self.tail = Tail::default();
        if size <= limit {
            self.tail.apply(&self.uncommitted, new(), self.tail_from == 0);
        }
        size <= limit
    }

    /// The segment that the tail makes, or the carried changes alone, if there is anything to write.
    fn segment(&self, object: &str, in_tail: bool) -> Option<Segment> {
        let object = object.to_owned();
        if in_tail {
            let (mut entries, mut bytes) = (0, 0);
            let count = |_: &str, key: &[u8], value: Option<&[u8]>| {
                entries += 1;
                bytes += entry_bytes(key, value);
                Ok::<(), std::convert::Infallible>(())
            };
            let Ok(()) = self.tail.each(count);
            let fresh = self.tail.fresh().iter().cloned().collect();
            return (!self.tail.is_empty()).then(|| Segment {
                object,
                entries,
                bytes,
                fresh,
                ..Segment::default()
            });
        }
        let new = self.operators.iter().map(|o| &o.name).filter(|name| !self.initialized.contains(*name));
        let cleared =
            self.uncommitted.iter().filter(|(_, changes)| changes.is_cleared()).map(|(name, _)| name);
        let fresh: BTreeSet<_> = new.chain(cleared).cloned().collect();
        let (entries, bytes) = measure(self.uncommitted.values());
        let fresh = fresh.into_iter().collect();
        Some(Segment { object, entries, bytes, fresh, ..Segment::default() })
    }

    /// Replaces segments by the one that the background thread has merged them into.
    fn adopt_merged(&mut self) {
        match self.housekeeper.finished() {
            Some(Ok(Compaction { replaced, merged })) => {
                let same = |window: &[Segment]| window.iter().map(|s| &s.object).eq(&replaced);
                if let Some(at) = self.segments.windows(replaced.len()).position(same) {
                    self.segments.splice(at..at + replaced.len(), [merged]);
                    self.tail_from -= replaced.len() - 1;
                }
                self.min_segments_to_merge = 0;
            }
            Some(Err(error)) => {
                // The checkpoint is complete without the merge, but in more segments.
                crate::logs::error!("the state of the checkpoint could not be merged: {error}");
                self.min_segments_to_merge = self.segments.len() + 8;
            }
            None => {}
        }
    }

    /// Starts the deletion of objects that are no longer needed, and a merge if there are too many segments.
    fn start_housekeeping(&mut self) {
        let oldest = self.kept.front().map_or(0, |kept| kept.number);
        self.unreadable = self.unreadable.filter(|number| *number >= oldest);
        self.housekeeper
            .run(Job::Collect { kept: self.kept.iter().cloned().collect(), spare: self.unreadable });
        let may_merge = !self.housekeeper.is_merging() && self.segments.len() >= self.min_segments_to_merge;
        // The tail is written anew with each commit.
        let settled = self.segments.get(..self.tail_from).unwrap_or_default();
        if let Some(from) = merge_start(settled, &self.policy).filter(|_| may_merge) {
            let segments = settled.get(from..).unwrap_or_default().to_vec();
            let operators = self.operators.iter().map(|o| o.name.clone()).collect();
            self.housekeeper.run(Job::Merge { segments, whole: from == 0, operators });
        }
    }

    /// Waits until the running merge has ended.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.housekeeper.settle();
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// The index of the first segment to merge, if a merge is due. All later ones are merged with it.
///
/// All segments are merged when the changes have become as large as the base, which about doubles the write
/// amplification at most. Else, if there are too many segments, the merge starts at the oldest one that is no
/// larger than all later ones together, so that a large segment is not rewritten for a few small ones.
fn merge_start(segments: &[Segment], policy: &Policy) -> Option<usize> {
    let single = segments.iter().rposition(|s| !s.instead.is_empty()).map_or(0, |at| at + 1);
    // An entry costs something even if it is empty.
    let sizes: Vec<u64> = segments.iter().map(|s| s.bytes + ENTRY * s.entries).collect();
    let (base, changes) = sizes.split_first().filter(|(_, changes)| !changes.is_empty())?;
    if changes.iter().sum::<u64>() >= (*base).max(policy.min_bytes) {
        return Some(0);
    }
    let mut later: u64 = sizes.iter().sum();
    let worthwhile = |size: &u64| {
        later -= size;
        *size <= later
    };
    let from = sizes.iter().position(worthwhile)?;
    if segments.len() > policy.max_segments.max(2) {
        return Some(from.min(segments.len() - 2));
    }
    (segments.len() - single >= policy.max_single).then_some(single)
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer")
            .field("store", &self.store)
            .field("segments", &self.segments.len())
            .finish()
    }
}
