//! The checkpoints of a context: recovery, and the commits of each batch.
//!
//! A batch is committed twice: when it begins, with the plan of each source, and when it is done, with the
//! changes of all operators. In between, each output that has run is recorded. After a crash, the batch that
//! had begun runs again, over the same input, for the remaining outputs; then the missed batches run, at
//! their own times. The blocks of receivers are in the write-ahead log before their batch begins, and are
//! released when it is done.
//!
//! Progress is recorded in memory first, and then written; the write is retried after a transient error (see
//! [`ContextInner::checkpoint`]).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    cluster::OperatorChanges,
    inner::ContextInner,
    lifecycle::Lifecycle,
    opened::{OpenWal, Opened},
};
use crate::{
    Error, Result, Time,
    checkpoint::{
        Changes, CheckpointError, CheckpointStore, Checkpointer, PendingBatch, Progress, Recovered, Slot,
        Stateful, restore_only,
    },
    config::UNNAMED,
    source::AnyInput,
    sync::Unpoisoned,
};

/// The checkpoints of a context.
pub(super) struct Checkpoints {
    // Closed before the folder is free for another program.
    log: OpenWal,
    writer: Checkpointer,
    progress: Progress,
    /// The changes that are not passed to the writer yet.
    changes: Vec<(String, Changes)>,
    /// Whether progress is recorded that must be written before the program continues.
    unwritten: bool,
    operators: Vec<(String, Arc<Mutex<dyn Stateful>>)>,
    sources: Vec<(String, Arc<dyn AnyInput>)>,
    /// The names of the outputs of the program.
    outputs: Vec<String>,
    /// An output has failed: the checkpoint stays before its batch, which a restart runs again.
    frozen: Option<Frozen>,
    /// By how much the oldest of the checkpoints that are kept may be behind the newest.
    kept: Duration,
    /// The number of the checkpoint that the program has gone on from.
    continued: Option<u64>,
}

/// While the checkpoint stays where it is, nothing of the log can be deleted.
struct Frozen {
    /// How many bytes of blocks had been written.
    log: u64,
    /// How many more there are when that is said next.
    warn_at: u64,
}

impl Frozen {
    fn new(log: u64) -> Frozen {
        Frozen { log, warn_at: 64 << 20 }
    }

    /// By how much the log has grown, each time that has doubled.
    fn grown(&mut self, log: u64) -> Option<u64> {
        let grown = log - self.log;
        (grown >= self.warn_at).then(|| {
            self.warn_at = 2 * grown;
            grown
        })
    }
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
    /// Goes on from the checkpoint of a context whose sources have started. If there is one, operators and
    /// sources get back what they had.
    pub(super) fn resume(inner: &ContextInner, opened: Opened) -> Result<(Checkpoints, Option<Resumed>)> {
        let Opened { log, session, policy, given_up } = opened;
        // Each holds another batch at most, and one more may not be deleted yet.
        let kept = inner.interval.saturating_mul(u32::try_from(policy.keep + 1).unwrap_or(u32::MAX));
        log.check_claimed()?;
        let (operators, sources, mut progress, outputs, forget) = {
            let lifecycle = inner.lock();
            let progress = Progress {
                application: lifecycle.name.clone(),
                interval: inner.interval,
                hash_seed: inner.seed(),
                ..Progress::default()
            };
            let outputs: Vec<String> =
                lifecycle.outputs.iter().map(|output| output.name.to_string()).collect();
            (operators(&lifecycle), sources(&lifecycle), progress, outputs, lifecycle.forget.clone())
        };
        let found = session.recovered().map(|recovered| recovered.progress().clone());
        let continued = session.recovered().map(Recovered::number);
        if let Some(found) = &found
            && progress.application == UNNAMED
        {
            progress.application.clone_from(&found.application);
        }
        let writer = {
            let kept: Vec<_> = operators.iter().map(|(name, kept)| (name, "operator", kept)).collect();
            let mut guards: Vec<_> =
                kept.into_iter().map(|(name, kind, state)| (name, kind, state.lock().unpoisoned())).collect();
            let mut slots: Vec<Slot<'_>> = guards
                .iter_mut()
                .map(|(name, kind, state)| Slot { name, kind, state: &mut **state })
                .collect();
            let mut guards: Vec<_> =
                sources.iter().map(|(name, input)| (name, input.checkpointed())).collect();
            slots.extend(
                guards
                    .iter_mut()
                    .filter_map(|(name, source)| Some(Slot { name, kind: "source", state: source.state()? })),
            );
            let (writer, restored) = session.resume(&mut slots, &forget, policy)?;
            if found.is_some() {
                crate::logs::info!(
                    "{} entries of state are back for {:?}",
                    restored.entries,
                    restored.continued
                );
                for name in &restored.new {
                    crate::logs::info!("`{name}` is not in the checkpoint: it starts empty");
                }
            }
            writer
        };
        let resumed = match found {
            None => None,
            Some(found) => {
                let mut pending = found.pending.into_iter().next();
                if let Some(batch) = &mut pending {
                    batch.inputs.retain(|name, _| !given_up.contains(name));
                    batch.fit(&outputs);
                }
                if let Some(batch) = &pending {
                    replay(batch, &sources, &forget)?;
                }
                progress.zero_time = found.zero_time;
                progress.batch_time = found.batch_time;
                let last = pending.as_ref().map_or(found.batch_time, |batch| batch.time);
                let resumed = Resumed {
                    pending: pending.as_ref().map(|batch| batch.time),
                    zero: found.zero_time,
                    next: last + inner.interval,
                };
                progress.pending = pending.into_iter().collect();
                Some(resumed)
            }
        };
        progress.wal = log.receiver_offsets();
        let checkpoints = Checkpoints {
            log,
            writer,
            progress,
            changes: Vec::new(),
            unwritten: false,
            operators,
            sources,
            outputs,
            frozen: None,
            kept,
            continued,
        };
        Ok((checkpoints, resumed))
    }

    /// Notes that a batch begins, and with what. Also with nothing: planned anew after a restart it might get
    /// something, but what an output has written under the time of a batch must not be something else in a
    /// second run.
    pub(super) fn begin(&mut self, time: Time, zero: Time) {
        self.progress.zero_time = zero;
        if self.frozen.is_some() || self.pending(time).is_some() {
            return;
        }
        let mut inputs = BTreeMap::new();
        let mut learnt = Vec::new();
        for (name, input) in &self.sources {
            let progress = input.progress(time);
            inputs.extend(progress.plan.map(|plan| (name.clone(), plan)));
            learnt.extend(progress.changes.map(|changes| (name.clone(), changes)));
        }
        self.changes.extend(learnt);
        let (outputs, done) = (self.outputs.clone(), Some(Vec::new()));
        self.progress.pending = vec![PendingBatch { time, outputs, done, inputs }];
        self.unwritten = true;
    }

    /// The number of the checkpoint that the program has gone on from.
    pub(super) fn continued(&self) -> Option<u64> {
        self.continued
    }

    /// Whether the checkpoint stays before a batch that failed.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// The oldest batch that a restart may run again, also from the oldest checkpoint that is kept.
    pub(super) fn rerun_from(&self) -> Time {
        self.progress.batch_time - self.kept
    }

    /// Whether an output of a batch that runs again has run before.
    pub(super) fn is_done(&self, time: Time, output: &str) -> bool {
        let done = self.pending(time).and_then(|batch| batch.done.as_ref());
        done.is_some_and(|done| done.iter().any(|name| name == output))
    }

    /// Strikes off an output that has run. The last one is struck off with its batch.
    pub(super) fn done(&mut self, time: Time, output: &str) {
        // A batch behind a failed one is not written down.
        if let Some(batch) = self.progress.pending.iter_mut().find(|batch| batch.time == time)
            && let Some(at) = batch.outputs.iter().position(|left| left == output)
        {
            batch.done.get_or_insert_default().push(batch.outputs.remove(at));
            self.unwritten |= !batch.outputs.is_empty();
        }
    }

    /// Notes that a batch is done, with what the operators have now. If it failed, the checkpoint stays where
    /// it is from now on. `others` is what changed in other processes.
    pub(super) fn end(&mut self, time: Time, succeeded: bool, others: Vec<OperatorChanges>) {
        let mut changes = changes_of(&self.operators);
        let joined = join(&mut changes, others);
        if let Err(what) = &joined {
            crate::logs::error!("the batch at {time} can't be committed: {what}");
        }
        let succeeded = succeeded && joined.is_ok();
        // What nobody will write is taken from the operators all the same, so that it does not pile up there,
        // or in the log's list.
        self.log.finish(time);
        if let Some(frozen) = &mut self.frozen {
            if let Some(grown) = frozen.grown(self.log.bytes()) {
                crate::logs::warn!(
                    "the log of receivers has grown by {} MiB since a batch failed, and grows until the \
                     program is restarted",
                    grown >> 20
                );
            }
            return;
        }
        if succeeded {
            self.progress.wal = self.log.receiver_offsets();
            self.progress.batch_time = time;
            self.progress.pending.clear();
            self.changes.extend(changes);
            self.unwritten = true;
        } else {
            self.frozen = Some(Frozen::new(self.log.bytes()));
            crate::logs::error!(
                "the batch at {time} failed, so the checkpoint stays before it, and no later batch is \
                 written down: when what made it fail is mended, restart the program, which then runs it and \
                 all later ones again"
            );
        }
    }

    /// Writes what is noted, if anything is: the batch that it is about, and how many bytes. If it fails, the
    /// same can be tried again.
    pub(super) fn write(&mut self) -> Result<Option<(Time, u64)>, CheckpointError> {
        // A batch that begins names blocks of the log: what is not in there could not be had again.
        self.log.write()?;
        if !self.unwritten {
            return Ok(None);
        }
        let bytes = self.writer.commit(self.progress.clone(), std::mem::take(&mut self.changes))?;
        self.unwritten = false;
        if let Some(needed) = self.writer.log_needed() {
            self.log.clean(needed);
        }
        let batch = self.progress.pending.first().map_or(self.progress.batch_time, |batch| batch.time);
        Ok(Some((batch, bytes)))
    }

    fn pending(&self, time: Time) -> Option<&PendingBatch> {
        self.progress.pending.iter().find(|batch| batch.time == time)
    }
}

/// Gives a batch that had begun what each source gave to it then. What nobody can give any more must be let
/// go by name.
fn replay(batch: &PendingBatch, sources: &[(String, Arc<dyn AnyInput>)], forget: &[String]) -> Result<()> {
    let time = batch.time;
    for name in batch.inputs.keys() {
        if forget.contains(name) {
            crate::logs::warn!("what the batch at {time} had of `{name}` is let go: it is forgotten");
        } else if !sources.iter().any(|(source, _)| source == name) {
            return Err(Error::source(
                name,
                format_args!(
                    "the batch at {time} had begun before the restart with records of this source, which the \
                     program does not have any more: put it back until that batch is done, or let its \
                     records go with `forget = [\"{name}\"]`"
                ),
            ));
        }
    }
    for (name, input) in sources {
        let plan = batch.inputs.get(name).filter(|_| !forget.contains(name));
        input.replay(time, plan.map(|plan| &plan[..]))?;
    }
    Ok(())
}

impl PendingBatch {
    /// Runs with the outputs of the program as it is now: those that have run are known by name, and only
    /// they are left out.
    fn fit(&mut self, program: &[String]) {
        let time = self.time;
        let done = self.done.get_or_insert_with(|| {
            crate::logs::warn!(
                "the batch at {time} was begun by an older dstream, which knew its outputs by their \
                 positions only: all of them run again, also those that have run"
            );
            self.outputs = program.to_vec();
            Vec::new()
        });
        for name in self.outputs.iter().filter(|name| !program.contains(name)) {
            crate::logs::warn!(
                "the output `{name}` had not run in the batch at {time}, and the program has it no more"
            );
        }
        for name in program.iter().filter(|name| !self.outputs.contains(name) && !done.contains(name)) {
            crate::logs::info!(
                "the output `{name}` is new: it runs in the batch at {time}, which had begun without it"
            );
        }
        self.outputs = program.iter().filter(|name| !done.contains(name)).cloned().collect();
    }
}

/// What has changed in each operator since the last call.
pub(super) fn changes_of(operators: &[(String, Arc<Mutex<dyn Stateful>>)]) -> OperatorChanges {
    let changes = operators.iter().map(|(name, state)| {
        let mut changes = Changes::default();
        state.lock().unpoisoned().changes(&mut changes);
        (name.clone(), changes)
    });
    changes.collect()
}

/// Adds what changed in other processes.
fn join(own: &mut OperatorChanges, others: Vec<OperatorChanges>) -> Result<(), String> {
    for (name, changes) in others.into_iter().flatten() {
        let own = own.iter_mut().find(|(own, _)| *own == name);
        let (_, own) =
            own.ok_or_else(|| format!("another process keeps `{name}`, which this one has not"))?;
        own.join(changes).map_err(|what| format!("`{name}`: {what}"))?;
    }
    Ok(())
}

/// Gives the operators of a process that writes no checkpoint their state back.
pub(super) fn restore_following(
    inner: &ContextInner,
    store: &dyn CheckpointStore,
    number: u64,
) -> Result<()> {
    let (operators, forget) = {
        let lifecycle = inner.lock();
        (operators(&lifecycle), lifecycle.forget.clone())
    };
    let mut guards: Vec<_> =
        operators.iter().map(|(name, state)| (name, state.lock().unpoisoned())).collect();
    let mut slots: Vec<Slot<'_>> =
        guards.iter_mut().map(|(name, state)| Slot { name, kind: "operator", state: &mut **state }).collect();
    // What sources had is for process 0.
    let sources = sources(&inner.lock()).into_iter().map(|(name, _)| name);
    let restored =
        restore_only(store, number, &mut slots, &forget.into_iter().chain(sources).collect::<Vec<_>>())?;
    crate::logs::info!("{} entries of state are back for {:?}", restored.entries, restored.continued);
    Ok(())
}

pub(super) fn operators(lifecycle: &Lifecycle) -> Vec<(String, Arc<Mutex<dyn Stateful>>)> {
    lifecycle.operators.iter().map(|operator| (operator.name.clone(), Arc::clone(&operator.shared))).collect()
}

/// The sources, by the names under which the log and the checkpoints know them.
pub(super) fn sources(lifecycle: &Lifecycle) -> Vec<(String, Arc<dyn AnyInput>)> {
    lifecycle
        .source_names
        .iter()
        .zip(&lifecycle.inputs)
        .map(|((name, _), input)| (name.clone(), Arc::clone(input)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Frozen;

    #[test]
    fn the_growth_of_the_log_is_said_each_time_it_has_doubled() {
        let mib = |n: u64| n << 20;
        let mut frozen = Frozen::new(mib(1_000));
        let said: Vec<u64> = (1_000..2_000).filter_map(|log| frozen.grown(mib(log))).collect();
        assert_eq!(said, [64, 128, 256, 512].map(mib));
    }
}
