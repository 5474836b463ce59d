//! The batches of a window, and what a checkpoint is told of them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::WindowSpec;
use crate::{
    JobError, Time,
    batch::{Batch, Missing, OpMeta, Step},
    checkpoint::{Changes, decode},
    exchange::Part,
};

/// The batches in a window, oldest first, each with what it came to.
#[derive(Debug)]
pub(super) struct Frame<P> {
    spec: WindowSpec,
    batches: VecDeque<(Time, Kept<P>)>,
    /// What the checkpoint has not been told yet. Without a checkpoint nobody asks, and there is none.
    log: Option<Log>,
    /// The key groups in which the keys are that this process keeps.
    part: Part,
    /// What came back from a checkpoint, until all has.
    back: Vec<(Stored, Option<P>)>,
    /// Whether a process with other key groups wrote some of it.
    divided_anew: bool,
}

/// What a checkpoint has of a batch: by time alone where one process has all, else with the process's part.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum BatchKey {
    Whole(Time),
    Part(Time, u32, u32),
}

/// Which batch and which part of it a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stored {
    pub(super) time: Time,
    /// The first key group.
    start: u32,
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
        Frame {
            spec,
            batches: VecDeque::new(),
            log: None,
            part: spec.part,
            back: Vec::new(),
            divided_anew: false,
        }
    }

    /// The batches of a window whose keys are shared out over `buckets`.
    pub(super) fn by_key(spec: WindowSpec, buckets: usize) -> Self {
        Frame { part: spec.part.over(buckets), ..Frame::new(spec) }
    }

    fn key(&self, time: Time) -> BatchKey {
        match self.part {
            Part::ALL => BatchKey::Whole(time),
            Part { start, end } => BatchKey::Part(time, start, end),
        }
    }

    /// Lets the batches go that are too old, and takes in the new one. An input that failed is noted; one
    /// that is not due is passed on.
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
        let Log { until, left } = self.log.take().unwrap_or(Log { until: None, left: Vec::new() });
        left.into_iter().for_each(|time| out.delete(&self.key(time)));
        for (time, kept) in &self.batches {
            if until.is_some_and(|until| *time <= until) {
                continue;
            }
            match kept {
                Kept::Whole(partial) => out.put(&self.key(*time), &Some(write(*time, partial))),
                Kept::Lost(_) => out.put(&self.key(*time), &None::<S>),
            }
        }
        let until = self.batches.back().map(|(time, _)| *time).or(until);
        self.log = Some(Log { until, left: Vec::new() });
    }

    /// What a key of a checkpoint stands for, if `takes` says of the own part and of the stored one that it
    /// is for this process.
    pub(super) fn stored(
        &mut self,
        key: &[u8],
        takes: fn(Part, Part) -> bool,
    ) -> Result<Option<Stored>, String> {
        let (time, part) = match decode(key)? {
            BatchKey::Whole(time) => (time, Part::ALL),
            BatchKey::Part(time, start, end) => (time, Part { start, end }),
        };
        self.divided_anew |= part != self.part;
        Ok(takes(self.part, part).then_some(Stored { time, start: part.start }))
    }

    /// Takes a batch, or a part of it, back from a checkpoint.
    pub(super) fn restore(&mut self, stored: Stored, partial: Option<P>) {
        self.back.push((stored, partial));
    }

    /// All batches are back; `merge` puts what several processes had of one together, in their order. `known`
    /// says whether the checkpoint has them as they are; else all are written anew.
    pub(super) fn restored(&mut self, known: bool, merge: impl Fn(P, P) -> P) {
        let mut back = std::mem::take(&mut self.back);
        back.sort_by_key(|(stored, _)| *stored);
        for (Stored { time, .. }, partial) in back {
            let before = self.batches.pop_back_if(|(last, _)| *last == time).map(|(_, kept)| kept);
            let kept = match (before, partial) {
                (None, Some(partial)) => Kept::Whole(partial),
                (Some(Kept::Whole(before)), Some(partial)) => Kept::Whole(merge(before, partial)),
                (_, None) | (Some(Kept::Lost(_)), _) => Kept::Lost(None),
            };
            self.batches.push_back((time, kept));
        }
        let known = known && !self.divided_anew;
        let until = self.batches.back().map(|(time, _)| *time);
        self.log = known.then_some(Log { until, left: Vec::new() });
    }
}
