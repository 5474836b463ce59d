//! How a context goes on from its checkpoint, and writes the next ones.
//!
//! A batch is written down twice: when it begins, with what each source gives to it, and when it is done, with what the
//! operators have then. In between, each output that has run is struck off. After a crash the batch that had begun runs once
//! more, over the same input, for the outputs that are left; then the missed ones, at their own times.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::core::{Core, Life};
use crate::{
    Error, Result, Time,
    checkpoint::{Changes, Checkpointer, LocalDir, PendingBatch, Policy, Progress, Session, Slot, Stateful},
    source::AnyInput,
};

/// The checkpoints of a context.
pub(super) struct Checkpoints {
    writer: Checkpointer,
    progress: Progress,
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
        let store = Arc::new(LocalDir::open(folder)?);
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
        if let Some(found) = &found
            && found.interval != core.interval
        {
            return Err(Error::Invalid(format!(
                "the checkpoint in `{}` was written with a batch interval of {:?}, this program has {:?}: change it back, or \
                 use another folder",
                folder.display(),
                found.interval,
                core.interval
            )));
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
            let (writer, restored) = session.resume(&mut slots, &forget, Policy::default())?;
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
        Ok((Checkpoints { writer, progress, operators, sources, outputs, frozen: false }, resumed))
    }

    /// Writes down that a batch begins, and with what. A batch for which the sources have nothing needs no line:
    /// it would come out the same.
    pub(super) fn begin(&mut self, time: Time, zero: Time) -> Result<()> {
        self.progress.zero_time = zero;
        if self.frozen || self.pending(time).is_some() {
            return Ok(());
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
        let quiet = inputs.is_empty();
        if !quiet {
            let outputs = (0..self.outputs).map(|output| output.to_string()).collect();
            self.progress.pending = vec![PendingBatch { time, outputs, inputs }];
        }
        if quiet && learnt.iter().all(|(_, changes)| changes.is_empty()) {
            return Ok(());
        }
        self.commit(learnt)
    }

    /// Whether an output of a batch that runs again has run before.
    pub(super) fn is_done(&self, time: Time, output: usize) -> bool {
        self.pending(time).is_some_and(|batch| !batch.outputs.contains(&output.to_string()))
    }

    /// Strikes off an output that has run. The last one is struck off with its batch.
    pub(super) fn done(&mut self, time: Time, output: usize) -> Result<()> {
        let Some(batch) = self.progress.pending.iter_mut().find(|batch| batch.time == time) else {
            return Ok(());
        };
        batch.outputs.retain(|left| *left != output.to_string());
        if self.frozen || batch.outputs.is_empty() {
            return Ok(());
        }
        self.commit(Vec::new())
    }

    /// Writes down that a batch is done, with what the operators have now. If it failed, the checkpoint stays where it is from
    /// now on.
    pub(super) fn end(&mut self, time: Time, succeeded: bool) -> Result<()> {
        if self.frozen {
            return Ok(());
        }
        if !succeeded {
            self.frozen = true;
            tracing::error!(
                "the batch at {time} failed, so the checkpoint stays before it: a restart runs it and all later ones again"
            );
            return Ok(());
        }
        let changes = self.operators.iter().map(|(name, state)| {
            let mut changes = Changes::default();
            state.lock().unwrap_or_else(PoisonError::into_inner).changes(&mut changes);
            (name.clone(), changes)
        });
        let changes = changes.collect();
        self.progress.batch_time = time;
        self.progress.pending.clear();
        self.commit(changes)
    }

    fn pending(&self, time: Time) -> Option<&PendingBatch> {
        self.progress.pending.iter().find(|batch| batch.time == time)
    }

    fn commit(&mut self, changes: Vec<(String, Changes)>) -> Result<()> {
        Ok(self.writer.commit(self.progress.clone(), changes)?)
    }
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
