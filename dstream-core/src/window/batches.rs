//! The batches of a window, and their changelog for checkpoints.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::WindowSpec;
use crate::{
    JobError, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, decode},
    exchange::Part,
    plan::OpMeta,
};

/// The batches in a window, oldest first, each with its partial result.
#[derive(Debug)]
pub(super) struct WindowBatches<P> {
    spec: WindowSpec,
    batches: VecDeque<(Time, BatchResult<P>)>,
    /// The changes since the last checkpoint; `None` before the first one.
    changelog: Option<Changelog>,
    /// The key groups that this process owns.
    part: Part,
    /// What has been read from a checkpoint, until all has.
    restoring: Vec<(StoredBatch, Option<P>)>,
    /// Whether some of it was written by a process with other key groups.
    repartitioned: bool,
}

/// The key of a batch in a checkpoint: its time, and the part of the process unless it owns all keys.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum BatchKey {
    Whole(Time),
    Part(Time, u32, u32),
}

/// A batch, or a part of it, in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StoredBatch {
    pub(super) time: Time,
    /// The first key group.
    start: u32,
}

#[derive(Debug)]
/// The partial result of a batch, or its failure.
pub(super) enum BatchResult<P> {
    Whole(P),
    /// The batch failed; the failure is unknown if that was before the last restart.
    Lost(Option<Box<JobError>>),
}

#[derive(Debug)]
struct Changelog {
    /// The last batch that is in the checkpoint.
    until: Option<Time>,
    evicted: Vec<Time>,
}

impl<P> WindowBatches<P> {
    pub(super) fn new(spec: WindowSpec) -> Self {
        WindowBatches {
            spec,
            batches: VecDeque::new(),
            changelog: None,
            part: spec.part,
            restoring: Vec::new(),
            repartitioned: false,
        }
    }

    /// The batches of a window whose keys are partitioned into `buckets`.
    pub(super) fn by_key(spec: WindowSpec, buckets: usize) -> Self {
        WindowBatches { part: spec.part.over(buckets), ..WindowBatches::new(spec) }
    }

    fn key(&self, time: Time) -> BatchKey {
        match self.part {
            Part::ALL => BatchKey::Whole(time),
            Part { start, end } => BatchKey::Part(time, start, end),
        }
    }

    /// Evicts the batches that are too old, and returns the input of the new one. A failed input is stored as
    /// such; an input that is not due is returned as the error.
    pub(super) fn advance<T>(&mut self, batch: &Batch<'_>, input: Step<T>) -> Step<Option<T>> {
        let input = match input {
            Ok(input) => Ok(input),
            Err(Missing::Failed(failure)) => Err(failure),
            Err(Missing::NotDue) => return Err(Missing::NotDue),
        };
        let cutoff = self.spec.cutoff(batch);
        while let Some((time, _)) = self.batches.front()
            && *time <= cutoff
        {
            if let Some(changelog) = &mut self.changelog {
                changelog.evicted.push(*time);
            }
            self.batches.pop_front();
        }
        match input {
            Ok(input) => Ok(Some(input)),
            Err(failure) => {
                batch.lose(&failure);
                self.batches.push_back((batch.time(), BatchResult::Lost(Some(failure))));
                Ok(None)
            }
        }
    }

    /// Stores the partial result of the newest batch.
    pub(super) fn push(&mut self, batch: &Batch<'_>, partial: P) {
        self.batches.push_back((batch.time(), BatchResult::Whole(partial)));
    }

    /// Marks the batches from `first` on as failed, since they were not stored as a whole.
    pub(super) fn mark_lost(&mut self, batch: &Batch<'_>, first: Time, failure: Box<JobError>) {
        batch.lose(&failure);
        for (time, result) in &mut self.batches {
            if *time >= first && matches!(result, BatchResult::Whole(_)) {
                *result = BatchResult::Lost(Some(failure.clone()));
            }
        }
    }

    /// Returns an error if the window is not due, or if one of its batches failed.
    pub(super) fn check_complete(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<()> {
        if !self.spec.is_due(batch) {
            return Err(Missing::NotDue);
        }
        for (time, result) in &self.batches {
            if let BatchResult::Lost(failure) = result {
                return Err(match failure {
                    Some(failure) => Missing::Failed(failure.clone()),
                    None => batch.failed(
                        op,
                        format!("the batch {time}, which is in this window, failed before the restart"),
                    ),
                });
            }
        }
        Ok(())
    }

    pub(super) fn cutoff(&self, batch: &Batch<'_>) -> Time {
        self.spec.cutoff(batch)
    }

    /// The time of the oldest batch.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.batches.front().map(|(time, _)| *time)
    }

    /// The partial results of the batches that did not fail.
    pub(super) fn partials(&self) -> impl Iterator<Item = &P> {
        self.batches.iter().filter_map(|(_, result)| match result {
            BatchResult::Whole(partial) => Some(partial),
            BatchResult::Lost(_) => None,
        })
    }

    /// Writes the batches that were added and evicted to a changelog; all of them the first time.
    pub(super) fn changes<'a, S: Serialize>(
        &'a mut self,
        out: &mut Changes,
        write: impl Fn(Time, &'a P) -> S,
    ) {
        if self.changelog.is_none() {
            out.clear();
        }
        let Changelog { until, evicted } =
            self.changelog.take().unwrap_or(Changelog { until: None, evicted: Vec::new() });
        evicted.into_iter().for_each(|time| out.delete(&self.key(time)));
        for (time, result) in &self.batches {
            if until.is_some_and(|until| *time <= until) {
                continue;
            }
            match result {
                BatchResult::Whole(partial) => out.put(&self.key(*time), &Some(write(*time, partial))),
                BatchResult::Lost(_) => out.put(&self.key(*time), &None::<S>),
            }
        }
        let until = self.batches.back().map(|(time, _)| *time).or(until);
        self.changelog = Some(Changelog { until, evicted: Vec::new() });
    }

    /// Decodes the key of a batch in a checkpoint; `None` if `takes`, called with the own part and the stored
    /// one, says that it is not for this process.
    pub(super) fn decode_key(
        &mut self,
        key: &[u8],
        takes: fn(Part, Part) -> bool,
    ) -> Result<Option<StoredBatch>, String> {
        let (time, part) = match decode(key)? {
            BatchKey::Whole(time) => (time, Part::ALL),
            BatchKey::Part(time, start, end) => (time, Part { start, end }),
        };
        self.repartitioned |= part != self.part;
        Ok(takes(self.part, part).then_some(StoredBatch { time, start: part.start }))
    }

    /// Restores a batch, or a part of it, from a checkpoint.
    pub(super) fn restore(&mut self, stored: StoredBatch, partial: Option<P>) {
        self.restoring.push((stored, partial));
    }

    /// Completes a restore: `merge` combines the parts that several processes have of a batch, in their
    /// order. Unless the checkpoint is `unchanged`, all batches are written to it again.
    pub(super) fn finish_restore(&mut self, unchanged: bool, merge: impl Fn(P, P) -> P) {
        let mut restoring = std::mem::take(&mut self.restoring);
        restoring.sort_by_key(|(stored, _)| *stored);
        for (StoredBatch { time, .. }, partial) in restoring {
            let before = self.batches.pop_back_if(|(last, _)| *last == time).map(|(_, result)| result);
            let result = match (before, partial) {
                (None, Some(partial)) => BatchResult::Whole(partial),
                (Some(BatchResult::Whole(before)), Some(partial)) => {
                    BatchResult::Whole(merge(before, partial))
                }
                (_, None) | (Some(BatchResult::Lost(_)), _) => BatchResult::Lost(None),
            };
            self.batches.push_back((time, result));
        }
        let unchanged = unchanged && !self.repartitioned;
        let until = self.batches.back().map(|(time, _)| *time);
        self.changelog = unchanged.then_some(Changelog { until, evicted: Vec::new() });
    }
}
