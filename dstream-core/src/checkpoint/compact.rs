//! What is done to a checkpoint while batches go on: segments are merged, and what nobody needs is deleted.

use crate::sync::Unpoisoned;

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
};

use super::{
    CheckpointError, CheckpointStore,
    frame::Kind,
    manifest::{Segment, object_name, parse_name},
    merge::merge,
    recovery::{list, readable},
    segment::SegmentWriter,
    store::{StoreLock, delete},
    writer::{Policy, RetainedCheckpoint},
};

/// Something to do.
pub(super) enum Job {
    /// Writes one segment in place of several.
    Merge {
        segments: Vec<Segment>,
        /// Whether they are all there are, so that what was deleted can be left out.
        whole: bool,
        /// The operators whose state is needed.
        operators: BTreeSet<String>,
    },
    /// Deletes what none of these checkpoints needs.
    Collect {
        kept: Vec<RetainedCheckpoint>,
        /// What is no newer than this stays.
        spare: Option<u64>,
    },
    #[cfg(test)]
    Settle(Sender<()>),
}

/// One segment, and the names of those that it replaces.
pub(super) struct Compaction {
    pub(super) replaced: Vec<String>,
    pub(super) merged: Segment,
}

type Finished = Arc<Mutex<Option<Result<Compaction, CheckpointError>>>>;

/// Does jobs one after the other.
pub(super) struct Housekeeper {
    place: Place,
    merging: bool,
    finished: Finished,
    stop: Arc<AtomicBool>,
}

enum Place {
    Here(Worker),
    Thread { jobs: Option<Sender<Job>>, thread: Option<JoinHandle<()>> },
}

struct Worker {
    store: Arc<dyn CheckpointStore>,
    lock: Arc<dyn StoreLock>,
    numbers: Arc<AtomicU64>,
    finished: Finished,
    stop: Arc<AtomicBool>,
    /// A merged object that no checkpoint refers to yet.
    unadopted: Option<String>,
}

impl Housekeeper {
    pub(super) fn new(
        store: Arc<dyn CheckpointStore>,
        lock: Arc<dyn StoreLock>,
        numbers: Arc<AtomicU64>,
        policy: &Policy,
    ) -> Housekeeper {
        let (finished, stop) = (Finished::default(), Arc::<AtomicBool>::default());
        let mut worker =
            Worker { store, lock, numbers, finished: finished.clone(), stop: stop.clone(), unadopted: None };
        let place = if policy.background {
            let (jobs, todo) = channel();
            let run = move || todo.into_iter().for_each(|job| worker.run(job));
            let thread = policy.threads.spawn("dstream-checkpoint", run);
            let thread =
                thread.inspect_err(|e| crate::logs::error!("no thread to merge checkpoints: {e}")).ok();
            Place::Thread { jobs: Some(jobs), thread }
        } else {
            Place::Here(worker)
        };
        Housekeeper { place, merging: false, finished, stop }
    }

    pub(super) fn run(&mut self, job: Job) {
        self.merging |= matches!(job, Job::Merge { .. });
        match &mut self.place {
            Place::Here(worker) => worker.run(job),
            Place::Thread { jobs, .. } => {
                // Without the thread nothing is tidied, which has been logged, and nothing is lost.
                let _ = jobs.as_ref().map(|jobs| jobs.send(job));
            }
        }
    }

    /// Whether a merge was begun whose end has not been seen.
    pub(super) fn is_merging(&self) -> bool {
        self.merging
    }

    /// What a merge came to, once.
    pub(super) fn finished(&mut self) -> Option<Result<Compaction, CheckpointError>> {
        let finished = self.finished.lock().unpoisoned().take();
        self.merging &= finished.is_none();
        finished
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        if let Place::Thread { jobs: Some(jobs), .. } = &self.place {
            let (done, wait) = channel();
            let _ = jobs.send(Job::Settle(done));
            let _ = wait.recv();
        }
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Place::Thread { jobs, thread } = &mut self.place {
            jobs.take();
            // Nothing may be written once the lock is given back.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}

impl Worker {
    fn run(&mut self, job: Job) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        match job {
            Job::Merge { segments, whole, operators } => {
                let result = self.merge(&segments, whole, &operators);
                if let Ok(Compaction { merged: segment, .. }) = &result {
                    self.unadopted = Some(segment.object.clone());
                }
                *self.finished.lock().unpoisoned() = Some(result);
            }
            Job::Collect { kept, spare } => {
                if let Err(error) = self.collect(&kept, spare) {
                    crate::logs::warn!("old files of the checkpoint could not be deleted: {error}");
                }
            }
            #[cfg(test)]
            Job::Settle(done) => drop(done.send(())),
        }
    }

    fn merge(
        &self,
        segments: &[Segment],
        whole: bool,
        operators: &BTreeSet<String>,
    ) -> Result<Compaction, CheckpointError> {
        let replaced = segments.iter().map(|s| s.object.clone()).collect();
        let merged = match self.write_merged(segments, whole, operators) {
            Err(CheckpointError::Damaged { .. }) => {
                let (segments, problems) = readable(&*self.store, segments)?;
                problems
                    .iter()
                    .for_each(|error| crate::logs::warn!("{error}: what it was merged from is read instead"));
                self.write_merged(&segments, whole, operators)?
            }
            merged => merged?,
        };
        Ok(Compaction { replaced, merged })
    }

    fn write_merged(
        &self,
        segments: &[Segment],
        whole: bool,
        operators: &BTreeSet<String>,
    ) -> Result<Segment, CheckpointError> {
        let object = object_name(Kind::Merged, self.numbers.fetch_add(1, Ordering::Relaxed));
        let failed = |e| CheckpointError::io(format_args!("writing `{}`", self.store.describe(&object)), e);
        let mut size = (0, 0);
        self.lock.check(&*self.store)?;
        self.store.put(&object, &mut |out| {
            let mut file = SegmentWriter::new(out, Kind::Merged, &object).map_err(failed)?;
            merge(&*self.store, segments, |operator, key, value| {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(failed(io::Error::new(io::ErrorKind::Interrupted, "the program stops")));
                }
                let needed = operators.contains(operator) && (value.is_some() || !whole);
                if needed { file.entry(operator, key, value).map_err(failed) } else { Ok(()) }
            })?;
            size = file.finish().map_err(failed)?;
            Ok(())
        })?;
        let (entries, bytes) = size;
        let fresh: BTreeSet<_> = segments.iter().flat_map(|s| s.fresh.iter().cloned()).collect();
        // Before the first segment there is nothing that would have to be hidden.
        let fresh = if whole { Vec::new() } else { fresh.into_iter().collect() };
        let instead = segments.iter().map(|s| Segment { instead: Vec::new(), ..s.clone() }).collect();
        Ok(Segment { object, entries, bytes, fresh, instead })
    }

    fn collect(&mut self, kept: &[RetainedCheckpoint], spare: Option<u64>) -> Result<(), CheckpointError> {
        // What is newer belongs to a commit or a merge that has not ended.
        let Some(newest) = kept.last().map(|kept| kept.number) else { return Ok(()) };
        self.lock.check(&*self.store)?;
        self.unadopted.take_if(|object| kept.iter().any(|kept| kept.objects.contains(object)));
        for name in list(&*self.store)? {
            let number = parse_name(&name).map(|(_, number)| number);
            let old =
                number.is_some_and(|number| number < newest && spare.is_none_or(|spare| number > spare));
            let needed = self.unadopted.as_ref() == Some(&name)
                || kept.iter().any(|kept| kept.objects.contains(&name));
            if old && !needed {
                delete(&*self.store, &name)?;
            }
        }
        Ok(())
    }
}
