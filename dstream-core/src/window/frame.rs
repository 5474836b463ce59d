//! The batches of a window, and what a checkpoint is told of them.

use std::collections::VecDeque;

use serde::Serialize;

use super::WindowSpec;
use crate::{
    JobError, Time,
    batch::{Batch, Missing, OpMeta, Step},
    checkpoint::Changes,
};

/// The batches in a window, oldest first, each with what it came to.
#[derive(Debug)]
pub(super) struct Frame<P> {
    spec: WindowSpec,
    batches: VecDeque<(Time, Kept<P>)>,
    /// What the checkpoint has not been told yet. Without a checkpoint nobody asks, and there is none.
    log: Option<Log>,
}

#[derive(Debug)]
pub(super) enum Kept<P> {
    Whole(P),
    /// The batch failed; before the last restart, if the failure is not known.
    Lost(Option<Box<JobError>>),
}

#[derive(Debug)]
struct Log {
    /// The last batch that the checkpoint has.
    until: Option<Time>,
    left: Vec<Time>,
}

impl<P> Frame<P> {
    pub(super) fn new(spec: WindowSpec) -> Self {
        Frame { spec, batches: VecDeque::new(), log: None }
    }

    /// Lets the batches go that are too old, and takes in the new one. An input that failed is noted; one that is not
    /// due is passed on.
    pub(super) fn admit<T>(&mut self, batch: &Batch<'_>, input: Step<T>) -> Step<Option<T>> {
        let input = match input {
            Ok(input) => Ok(input),
            Err(Missing::Failed(failure)) => Err(failure),
            Err(Missing::NotDue) => return Err(Missing::NotDue),
        };
        let cutoff = self.spec.cutoff(batch);
        while let Some((time, _)) = self.batches.front()
            && *time <= cutoff
        {
            if let Some(log) = &mut self.log {
                log.left.push(*time);
            }
            self.batches.pop_front();
        }
        match input {
            Ok(input) => Ok(Some(input)),
            Err(failure) => {
                batch.lose(&failure);
                self.batches.push_back((batch.time(), Kept::Lost(Some(failure))));
                Ok(None)
            }
        }
    }

    /// Keeps what the newest batch came to.
    pub(super) fn keep(&mut self, batch: &Batch<'_>, partial: P) {
        self.batches.push_back((batch.time(), Kept::Whole(partial)));
    }

    /// Gives up the batches from `first` on, which were not taken in whole.
    pub(super) fn lose(&mut self, batch: &Batch<'_>, first: Time, failure: Box<JobError>) {
        batch.lose(&failure);
        for (time, kept) in &mut self.batches {
            if *time >= first && matches!(kept, Kept::Whole(_)) {
                *kept = Kept::Lost(Some(failure.clone()));
            }
        }
    }

    /// Whether the window can be answered now: not if it is not due, nor if one of its batches failed.
    pub(super) fn answer(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<()> {
        if !self.spec.is_due(batch) {
            return Err(Missing::NotDue);
        }
        for (time, kept) in &self.batches {
            if let Kept::Lost(failure) = kept {
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

    /// What the batches came to, but for those that failed.
    pub(super) fn partials(&self) -> impl Iterator<Item = &P> {
        self.batches.iter().filter_map(|(_, kept)| match kept {
            Kept::Whole(partial) => Some(partial),
            Kept::Lost(_) => None,
        })
    }

    /// Tells a checkpoint of the batches that came and went; the first time, of all that are there.
    pub(super) fn changes<'a, S: Serialize>(
        &'a mut self,
        out: &mut Changes,
        write: impl Fn(Time, &'a P) -> S,
    ) {
        if self.log.is_none() {
            out.clear();
        }
        let log = self.log.get_or_insert(Log { until: None, left: Vec::new() });
        log.left.drain(..).for_each(|time| out.delete(&time));
        for (time, kept) in &self.batches {
            if log.until.is_some_and(|until| *time <= until) {
                continue;
            }
            match kept {
                Kept::Whole(partial) => out.put(time, &Some(write(*time, partial))),
                Kept::Lost(_) => out.put(time, &None::<S>),
            }
        }
        log.until = self.batches.back().map(|(time, _)| *time).or(log.until);
    }

    /// Takes a batch back from a checkpoint.
    pub(super) fn restore(&mut self, time: Time, partial: Option<P>) {
        self.batches.push_back((time, partial.map_or(Kept::Lost(None), Kept::Whole)));
    }

    /// All batches are back. `known` says whether the checkpoint has them as they are; else all are written anew.
    pub(super) fn restored(&mut self, known: bool) {
        self.batches.make_contiguous().sort_by_key(|(time, _)| *time);
        let until = self.batches.back().map(|(time, _)| *time);
        self.log = known.then_some(Log { until, left: Vec::new() });
    }
}
