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
    segment::{SegmentWriter, measure},
    store::StoreLock,
    wal::{LogPosition, UsedUp},
};

/// How checkpoints are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// How many checkpoints can be gone back to.
    pub(crate) keep: usize,
    /// From how many segments on some are merged.
    pub(crate) max_segments: usize,
    /// Changes of fewer bytes than this are no reason to write the base again.
    pub(crate) min_bytes: u64,
    /// Whether segments are merged by a thread of their own; a simulation wants every call in its order.
    pub(crate) background: bool,
}

impl Policy {
    /// Small enough that all that happens in months happens in some batches, and each call in its order.
    pub(crate) fn simulated() -> Policy {
        Policy { keep: 3, max_segments: 5, min_bytes: 60, background: false }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { keep: 3, max_segments: 32, min_bytes: 1 << 20, background: true }
    }
}

/// Writes the checkpoints of a program.
pub(crate) struct Checkpointer {
    store: Arc<dyn CheckpointStore>,
    policy: Policy,
    operators: Vec<Operator>,
    /// Operators whose entries in `segments` are still of an older type, and the fingerprint of that. It is what a
    /// manifest says until they have written themselves anew.
    converting: BTreeMap<String, String>,
    /// Operators whose entries in `segments` count.
    begun: BTreeSet<String>,
    /// Changes that no checkpoint holds yet: those of a commit that failed belong to the next.
    carried: BTreeMap<String, Changes>,
    segments: Vec<Segment>,
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
        let mut objects: BTreeSet<_> = manifest.segments.iter().map(|s| s.object.clone()).collect();
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
        let Start { next, operators, converting, begun, segments, kept, doubtful } = start;
        let numbers = Arc::new(AtomicU64::new(next));
        let housekeeper = Housekeeper::new(store.clone(), lock.clone(), numbers.clone(), policy.background);
        Checkpointer {
            store,
            policy,
            operators,
            converting,
            begun,
            carried: BTreeMap::new(),
            segments,
            kept: kept.into(),
            doubtful,
            numbers,
            housekeeper,
            patience: 0,
            lock,
        }
    }

    /// Writes a checkpoint: how far the program is, and what changed since the last one. When this returns, a program that
    /// is started anew goes on from here. Returns how many bytes that were, but for the framing.
    ///
    /// If it fails, the changes are kept for the next commit, which may succeed unless a sync has failed. Nothing that
    /// is waiting for this checkpoint may be acknowledged then.
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
        let mut segments = self.segments.clone();
        segments.extend(self.segment(&object));
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
            for (operator, changes) in &self.carried {
                for (key, value) in changes.iter() {
                    file.entry(operator, key, value).map_err(failed)?;
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
        self.tidy();
        Ok(bytes + encoded.len() as u64)
    }

    /// From where on the log of receivers is needed to go back to any checkpoint that is kept; `None` if from its beginning.
    pub(crate) fn log_needed(&self) -> Option<LogPosition> {
        self.kept.iter().map(|kept| kept.log).min().flatten()
    }

    /// The segment that the carried changes make, if there are any.
    fn segment(&self, object: &str) -> Option<Segment> {
        let new = self.operators.iter().map(|o| &o.name).filter(|name| !self.begun.contains(*name));
        let cleared = self.carried.iter().filter(|(_, changes)| changes.is_cleared()).map(|(name, _)| name);
        let fresh: BTreeSet<_> = new.chain(cleared).cloned().collect();
        let (entries, bytes) = measure(self.carried.values());
        let object = object.to_owned();
        (entries > 0 || !fresh.is_empty()).then(|| Segment {
            object,
            entries,
            bytes,
            fresh: fresh.into_iter().collect(),
        })
    }

    /// Puts a segment that was merged meanwhile in the place of what it was merged of.
    fn adopt(&mut self) {
        match self.housekeeper.finished() {
            Some(Ok(Compaction { replaced, merged })) => {
                let same = |window: &[Segment]| window.iter().map(|s| &s.object).eq(&replaced);
                if let Some(at) = self.segments.windows(replaced.len()).position(same) {
                    self.segments.splice(at..at + replaced.len(), [merged]);
                }
                self.patience = 0;
            }
            Some(Err(error)) => {
                // The state is whole without it, only in more pieces.
                tracing::error!("the state of the checkpoint could not be merged: {error}");
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
        if let Some(from) = due(&self.segments, &self.policy).filter(|_| may_merge) {
            let segments = self.segments.get(from..).unwrap_or_default().to_vec();
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
/// All of them when the changes have become as large as the base: what was written for a byte of state is then at
/// most about doubled. Else, when there are too many, those from the oldest on that is no larger than what follows it, so that a large segment is
/// not written again for a few small ones.
fn due(segments: &[Segment], policy: &Policy) -> Option<usize> {
    // An entry costs something even if it is empty.
    let sizes: Vec<u64> = segments.iter().map(|s| s.bytes + 8 * s.entries).collect();
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
    (segments.len() > policy.max_segments.max(2)).then_some(from.min(segments.len() - 2))
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer")
            .field("store", &self.store)
            .field("segments", &self.segments.len())
            .finish()
    }
}
