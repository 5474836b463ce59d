//! Writing checkpoints.

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
    wal::{LogPosition, UsedUp},
};
use crate::threads::Threads;

/// How checkpoints are kept.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// How many checkpoints can be gone back to.
    pub(crate) keep: usize,
    /// From how many segments on some are merged.
    pub(crate) max_segments: usize,
    /// Changes of fewer bytes than this are no reason to write the base again.
    pub(crate) min_bytes: u64,
    /// Up to how many bytes the newest changes are written again with each checkpoint.
    pub(crate) tail_bytes: u64,
    /// How many segments may be in one file alone before they are merged, so that each is in two.
    pub(crate) max_single: usize,
    /// Whether segments are merged by a thread of their own; a simulation wants every call in its order.
    pub(crate) background: bool,
    /// What starts that thread.
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
    /// Operators whose entries in `segments` are still of an older type, and the fingerprint of that. It is
    /// what a manifest says until they have written themselves anew.
    converting: BTreeMap<String, String>,
    /// Operators whose entries in `segments` count.
    begun: BTreeSet<String>,
    /// Changes that no checkpoint holds yet: those of a commit that failed belong to the next.
    carried: BTreeMap<String, Changes>,
    segments: Vec<Segment>,
    /// What the segments from this one on come to, if that is little.
    tail: Tail,
    tail_from: usize,
    /// The newest checkpoints, the newest last.
    kept: VecDeque<Kept>,
    /// The newest checkpoint that could not be read. It is left alone until enough newer ones stand.
    doubtful: Option<u64>,
    numbers: Arc<AtomicU64>,
    housekeeper: Housekeeper,
    /// After a merge that failed: how many segments there must be for the next attempt.
    patience: usize,
    // Dropped after the housekeeper has ended.
    lock: Arc<dyn StoreLock>,
}

/// A checkpoint that can be gone back to, and the objects that it needs.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) objects: BTreeSet<String>,
    /// From where on it needs the log of receivers; `None` if from its beginning.
    log: Option<LogPosition>,
}

impl Kept {
    pub(super) fn new(number: u64, manifest: &Manifest) -> Kept {
        let all = manifest.segments.iter().flat_map(|s| s.instead.iter().chain([s]));
        let mut objects: BTreeSet<_> = all.map(|s| s.object.clone()).collect();
        objects.insert(object_name(Kind::Checkpoint, number));
        let used_up = manifest.progress.wal.values();
        let log = used_up.map(|bytes| Some(UsedUp::from_bytes(bytes)?.position)).min().flatten();
        Kept { number, objects, log }
    }
}

/// Where writing begins.
pub(super) struct Start {
    pub(super) next: u64,
    pub(super) operators: Vec<Operator>,
    pub(super) converting: BTreeMap<String, String>,
    pub(super) begun: BTreeSet<String>,
    pub(super) segments: Vec<Segment>,
    /// What all segments come to, if that is little.
    pub(super) tail: Option<Tail>,
    pub(super) kept: Vec<Kept>,
    pub(super) doubtful: Option<u64>,
}

impl Checkpointer {
    pub(super) fn start(
        store: Arc<dyn CheckpointStore>,
        lock: Arc<dyn StoreLock>,
        policy: Policy,
        start: Start,
    ) -> Checkpointer {
        let Start { next, operators, converting, begun, segments, tail, kept, doubtful } = start;
        let numbers = Arc::new(AtomicU64::new(next));
        let housekeeper = Housekeeper::new(store.clone(), lock.clone(), numbers.clone(), &policy);
        Checkpointer {
            store,
            policy,
            operators,
            converting,
            begun,
            carried: BTreeMap::new(),
            tail_from: if tail.is_some() { 0 } else { segments.len() },
            tail: tail.unwrap_or_default(),
            segments,
            kept: kept.into(),
            doubtful,
            numbers,
            housekeeper,
            patience: 0,
            lock,
        }
    }

    /// Writes a checkpoint: how far the program is, and what changed since the last one. When this returns, a
    /// program that is started anew goes on from here. Returns how many bytes that were, but for the framing.
    ///
    /// If it fails, the changes are kept for the next commit, which may succeed unless a sync has failed.
    /// Nothing that is waiting for this checkpoint may be acknowledged then.
    pub(crate) fn commit(
        &mut self,
        progress: Progress,
        changes: Vec<(String, Changes)>,
    ) -> Result<u64, CheckpointError> {
        for (name, later) in changes {
            if self.operators.iter().all(|o| o.name != name) {
                return Err(CheckpointError::Invalid(format!("`{name}` is no operator of this checkpoint")));
            }
            self.carried.entry(name).or_default().append(later);
        }
        for (operator, changes) in &mut self.carried {
            if let Some(what) = changes.failure() {
                return Err(CheckpointError::Unwritable {
                    operator: operator.clone(),
                    what: what.to_owned(),
                });
            }
            changes.sort();
        }
        self.lock.check(&*self.store)?;
        self.adopt();

        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let object = object_name(Kind::Checkpoint, number);
        let in_tail = self.extend_tail();
        let mut segments = self.segments.get(..self.tail_from).unwrap_or_default().to_vec();
        segments.extend(self.segment(&object, in_tail));
        let writer = concat!("dstream ", env!("CARGO_PKG_VERSION")).to_owned();
        let mut converting = self.converting.clone();
        converting.retain(|name, _| !self.carried.get(name).is_some_and(Changes::is_cleared));
        let operators = self.operators.iter().map(|operator| Operator {
            fingerprint: converting.get(&operator.name).unwrap_or(&operator.fingerprint).clone(),
            ..operator.clone()
        });
        let manifest = Manifest { writer, progress, operators: operators.collect(), segments };
        let encoded = rmp_serde::to_vec_named(&manifest)
            .map_err(|e| CheckpointError::Unwritable { operator: "manifest".into(), what: e.to_string() })?;
        let failed = |e| CheckpointError::io(format_args!("writing `{}`", self.store.describe(&object)), e);
        let (_, bytes) = measure(self.carried.values());
        self.store.put(&object, &mut |out| {
            let mut file = SegmentWriter::new(out, Kind::Checkpoint, &object).map_err(failed)?;
            file.manifest(&encoded).map_err(failed)?;
            if in_tail {
                self.tail.each(|operator, key, value| file.entry(operator, key, value).map_err(failed))?;
            } else {
                for (operator, changes) in &self.carried {
                    for (key, value) in changes.iter() {
                        file.entry(operator, key, value).map_err(failed)?;
                    }
                }
            }
            file.finish().map_err(failed)?;
            Ok(())
        })?;

        self.carried.clear();
        self.converting = converting;
        self.begun.extend(self.operators.iter().map(|o| o.name.clone()));
        self.kept.push_back(Kept::new(number, &manifest));
        while self.kept.len() > self.policy.keep.max(1) {
            self.kept.pop_front();
        }
        self.segments = manifest.segments;
        if !in_tail {
            self.tail_from = self.segments.len();
        }
        self.tidy();
        Ok(bytes + encoded.len() as u64)
    }

    /// From where on the log of receivers is needed to go back to any checkpoint that is kept; `None` if from
    /// its beginning.
    pub(crate) fn log_needed(&self) -> Option<LogPosition> {
        self.kept.iter().map(|kept| kept.log).min().flatten()
    }

    /// Takes the carried changes into the tail if they are few, and begins a new one if it has grown too
    /// large. Returns whether the tail is what is to be written.
    fn extend_tail(&mut self) -> bool {
        let size = Tail::size_of(&self.carried);
        let limit = self.policy.tail_bytes;
        let new = || self.operators.iter().map(|o| &o.name).filter(|name| !self.begun.contains(*name));
        if size <= limit {
            self.tail.apply(&self.carried, new(), self.tail_from == 0);
            if self.tail.size() <= limit {
                return true;
            }
        }
        // What the tail held stays in the file of the last commit.
        self.tail_from = self.segments.len();
        self.tail = Tail::default();
        if size <= limit {
            self.tail.apply(&self.carried, new(), self.tail_from == 0);
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
        let new = self.operators.iter().map(|o| &o.name).filter(|name| !self.begun.contains(*name));
        let cleared = self.carried.iter().filter(|(_, changes)| changes.is_cleared()).map(|(name, _)| name);
        let fresh: BTreeSet<_> = new.chain(cleared).cloned().collect();
        let (entries, bytes) = measure(self.carried.values());
        let fresh = fresh.into_iter().collect();
        Some(Segment { object, entries, bytes, fresh, ..Segment::default() })
    }

    /// Puts a segment that was merged meanwhile in the place of what it was merged of.
    fn adopt(&mut self) {
        match self.housekeeper.finished() {
            Some(Ok(Compaction { replaced, merged })) => {
                let same = |window: &[Segment]| window.iter().map(|s| &s.object).eq(&replaced);
                if let Some(at) = self.segments.windows(replaced.len()).position(same) {
                    self.segments.splice(at..at + replaced.len(), [merged]);
                    self.tail_from -= replaced.len() - 1;
                }
                self.patience = 0;
            }
            Some(Err(error)) => {
                // The state is whole without it, only in more pieces.
                crate::logs::error!("the state of the checkpoint could not be merged: {error}");
                self.patience = self.segments.len() + 8;
            }
            None => {}
        }
    }

    /// Has what is not needed any more deleted, and segments merged if there are too many.
    fn tidy(&mut self) {
        let oldest = self.kept.front().map_or(0, |kept| kept.number);
        self.doubtful = self.doubtful.filter(|number| *number >= oldest);
        self.housekeeper
            .run(Job::Collect { kept: self.kept.iter().cloned().collect(), spare: self.doubtful });
        let may_merge = !self.housekeeper.is_merging() && self.segments.len() >= self.patience;
        // The tail is written anew with each commit.
        let settled = self.segments.get(..self.tail_from).unwrap_or_default();
        if let Some(from) = due(settled, &self.policy).filter(|_| may_merge) {
            let segments = settled.get(from..).unwrap_or_default().to_vec();
            let operators = self.operators.iter().map(|o| o.name.clone()).collect();
            self.housekeeper.run(Job::Merge { segments, whole: from == 0, operators });
        }
    }

    /// Waits until all segments that are being merged are.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.housekeeper.settle();
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// From which segment on all should be merged to one.
///
/// All of them when the changes have become as large as the base: what was written for a byte of state is
/// then at most about doubled. Else, when there are too many, those from the oldest on that is no larger than
/// what follows it, so that a large segment is not written again for a few small ones.
fn due(segments: &[Segment], policy: &Policy) -> Option<usize> {
    let single = segments.iter().rposition(|s| !s.instead.is_empty()).map_or(0, |at| at + 1);
    // An entry costs something even if it is empty.
    let sizes: Vec<u64> = segments.iter().map(|s| s.bytes + ENTRY * s.entries).collect();
    let (base, log) = sizes.split_first().filter(|(_, log)| !log.is_empty())?;
    if log.iter().sum::<u64>() >= (*base).max(policy.min_bytes) {
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
