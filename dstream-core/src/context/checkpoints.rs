//! How a context goes on from its checkpoint, and writes the next ones.
//!
//! A batch is written down twice: when it begins, with what each source gives to it, and when it is done, with what the
//! operators have then. In between, each output that has run is struck off. After a crash the batch that had begun runs once
//! more, over the same input, for the outputs that are left; then the missed ones, at their own times.
//!
//! What happens is noted first, and then written, again and again if the storage refuses it (see [`Core::checkpoint`]).

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::core::{Core, Life};
use crate::{
    Error, Result, Time,
    checkpoint::{
        Changes, CheckpointError, Checkpointer, LocalDir, PendingBatch, Progress, Session, Slot, Stateful,
    },
    config::UNNAMED,
    source::AnyInput,
};

/// The checkpoints of a context.
pub(super) struct Checkpoints {
    writer: Checkpointer,
    progress: Progress,
    /// What has changed, until it is handed to the writer.
    changes: Vec<(String, Changes)>,
    /// Whether something is noted that must be written before the program goes on.
    unwritten: bool,
    operators: Vec<(String, Arc<Mutex<dyn Stateful>>)>,
    sources: Vec<(String, Arc<dyn AnyInput>)>,
    outputs: usize,
    /// An output has failed: the checkpoint stays before its batch, which a restart runs again.
    frozen: bool,
}

/// Where a recovered context goes on.
pub(super) struct Resumed {
    /// A batch that had begun; it is planned already.
    pub(super) pending: Option<Time>,
    /// What the windows align to.
    pub(super) zero: Time,
    /// The first batch behind it.
    pub(super) next: Time,
}

impl Checkpoints {
    /// Opens the checkpoint of a context whose sources have started. If there is one to go on from, operators and
    /// sources get back what they had.
    pub(super) fn open(core: &Core, folder: &Path) -> Result<(Checkpoints, Option<Resumed>)> {
        let storage = &core.config.storage;
        let store = Arc::new(LocalDir::with_fs(Arc::clone(&storage.fs), folder.to_owned())?);
        let session = Session::open(store)?;
        let (operators, sources, mut progress, outputs, forget) = {
            let life = core.lock();
            let progress = Progress {
                application: life.name.clone(),
                interval: core.interval,
                hash_seed: core.config.hash_seed,
                ..Progress::default()
            };
            (operators(&life), sources(&life), progress, life.outputs, life.forget.clone())
        };
        let found = session.recovered().map(|recovered| recovered.progress().clone());
        if let Some(found) = &found {
            check(found, &progress, folder)?;
            if progress.application == UNNAMED {
                progress.application.clone_from(&found.application);
            }
        }
        let writer = {
            let kept: Vec<_> = operators.iter().map(|(name, kept)| (name, "operator", kept)).collect();
            let states: Vec<_> =
                sources.iter().filter_map(|(name, input)| Some((name, input.state()?))).collect();
            let all = kept.into_iter().chain(states.iter().map(|(name, state)| (*name, "source", state)));
            let mut guards: Vec<_> = all
                .map(|(name, kind, state)| (name, kind, state.lock().unwrap_or_else(PoisonError::into_inner)))
                .collect();
            let mut slots: Vec<Slot<'_>> = guards
                .iter_mut()
                .map(|(name, kind, state)| Slot { name, kind, state: &mut **state })
                .collect();
            let (writer, restored) = session.resume(&mut slots, &forget, storage.policy)?;
            if found.is_some() {
                tracing::info!("{} entries of state are back for {:?}", restored.entries, restored.continued);
                for name in &restored.new {
                    tracing::info!("`{name}` is not in the checkpoint: it starts empty");
                }
            }
            writer
        };
        let resumed = match found {
            None => None,
            Some(found) => {
                let pending = found.pending.into_iter().next();
                if let Some(batch) = &pending {
                    for (name, input) in &sources {
                        if let Some(record) = batch.inputs.get(name) {
                            input.replay(batch.time, record);
                            // The checkpoint knows already.
                            drop(input.taken(batch.time));
                        }
                    }
                }
                progress.zero_time = found.zero_time;
                progress.batch_time = found.batch_time;
                let last = pending.as_ref().map_or(found.batch_time, |batch| batch.time);
                let resumed = Resumed {
                    pending: pending.as_ref().map(|batch| batch.time),
                    zero: found.zero_time,
                    next: last + core.interval,
                };
                progress.pending = pending.into_iter().collect();
                Some(resumed)
            }
        };
        let checkpoints = Checkpoints {
            writer,
            progress,
            changes: Vec::new(),
            unwritten: false,
            operators,
            sources,
            outputs,
            frozen: false,
        };
        Ok((checkpoints, resumed))
    }

    /// Notes that a batch begins, and with what. Also with nothing: planned anew after a restart it might get something, but what
    /// an output has written under the time of a batch must not be something else in a second run.
    pub(super) fn begin(&mut self, time: Time, zero: Time) {
        self.progress.zero_time = zero;
        if self.frozen || self.pending(time).is_some() {
            return;
        }
        let mut inputs = BTreeMap::new();
        let mut learnt = Vec::new();
        for (name, input) in &self.sources {
            let taken = input.taken(time);
            inputs.extend(taken.record.map(|record| (name.clone(), record)));
            if input.state().is_some() {
                learnt.push((name.clone(), taken.changes));
            }
        }
        self.changes.extend(learnt);
        let outputs = (0..self.outputs).map(|output| output.to_string()).collect();
        self.progress.pending = vec![PendingBatch { time, outputs, inputs }];
        self.unwritten = true;
    }

    /// Whether an output of a batch that runs again has run before.
    pub(super) fn is_done(&self, time: Time, output: usize) -> bool {
        self.pending(time).is_some_and(|batch| !batch.outputs.contains(&output.to_string()))
    }

    /// Strikes off an output that has run. The last one is struck off with its batch.
    pub(super) fn done(&mut self, time: Time, output: usize) {
        // A batch behind a failed one is not written down.
        if let Some(batch) = self.progress.pending.iter_mut().find(|batch| batch.time == time) {
            batch.outputs.retain(|left| *left != output.to_string());
            self.unwritten |= !batch.outputs.is_empty();
        }
    }

    /// Notes that a batch is done, with what the operators have now. If it failed, the checkpoint stays where it is from
    /// now on.
    pub(super) fn end(&mut self, time: Time, succeeded: bool) {
        let changes = self.operators.iter().map(|(name, state)| {
            let mut changes = Changes::default();
            state.lock().unwrap_or_else(PoisonError::into_inner).changes(&mut changes);
            (name.clone(), changes)
        });
        let changes: Vec<_> = changes.collect();
        // What nobody will write is taken from the operators all the same, so that it does not pile up there.
        if self.frozen {
            return;
        }
        if succeeded {
            self.progress.batch_time = time;
            self.progress.pending.clear();
            self.changes.extend(changes);
            self.unwritten = true;
        } else {
            self.frozen = true;
            tracing::error!(
                "the batch at {time} failed, so the checkpoint stays before it, and no later batch is written down: when \
                 what made it fail is mended, restart the program, which then runs it and all later ones again"
            );
        }
    }

    /// Writes what is noted. If it fails, the same can be tried again.
    pub(super) fn write(&mut self) -> Result<(), CheckpointError> {
        if self.unwritten {
            self.writer.commit(self.progress.clone(), std::mem::take(&mut self.changes))?;
            self.unwritten = false;
        }
        Ok(())
    }

    fn pending(&self, time: Time) -> Option<&PendingBatch> {
        self.progress.pending.iter().find(|batch| batch.time == time)
    }
}

/// Refuses the checkpoint of another application, or of another batch interval.
fn check(found: &Progress, program: &Progress, folder: &Path) -> Result<()> {
    let folder = folder.display();
    let (theirs, ours) = (&found.application, &program.application);
    // One that has given itself no name may be any.
    if theirs != ours && [theirs, ours].iter().all(|name| *name != UNNAMED && !name.is_empty()) {
        return Err(Error::Invalid(format!(
            "the checkpoint in `{folder}` is of the application `{theirs}`, this one is `{ours}`: use another folder, or, if \
             it is the same application, name it `{theirs}` again"
        )));
    }
    if found.interval != program.interval {
        return Err(Error::Invalid(format!(
            "the checkpoint in `{folder}` was written with a batch interval of {:?}, this program has {:?}: change it back, or \
             use another folder",
            found.interval, program.interval
        )));
    }
    Ok(())
}

/// Names are unique: the second operator called `x` is `x#2`.
fn operators(life: &Life) -> Vec<(String, Arc<Mutex<dyn Stateful>>)> {
    unique(life.operators.iter().map(|operator| (operator.name.clone(), Arc::clone(&operator.shared))))
}

fn sources(life: &Life) -> Vec<(String, Arc<dyn AnyInput>)> {
    unique(life.inputs.iter().map(|input| (input.name(), Arc::clone(input))))
}

fn unique<T>(named: impl Iterator<Item = (String, T)>) -> Vec<(String, T)> {
    let mut out: Vec<(String, T)> = Vec::new();
    for (name, value) in named {
        let before = out.iter().filter(|(other, _)| other.split('#').next() == Some(&name)).count();
        out.push((if before == 0 { name } else { format!("{name}#{}", before + 1) }, value));
    }
    out
}
