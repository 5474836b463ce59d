//! The seam between the processes that run one program together: how keys are divided, and how what belongs
//! to another process gets there.
//!
//! Every process runs the same program over a part of the input. Process 0 leads: it plans the batches, writes
//! the checkpoint, and has the outputs. Where equal keys must meet, each process hands every other one what that
//! one owns, as bytes: one [exchange](Exchange::exchange) a wide operator and batch, and one an output, which
//! brings the batch to process 0. Without an [`Exchange`] (see [`Config::exchange`](crate::Config::exchange)) a
//! program is alone: its values are moved, and nothing is serialised.
//!
//! **Key groups.** The hash of a key says in which of [`KEY_GROUPS`] groups it is. Each process owns a range
//! of them, those of process 0 first. A shuffle of `n` partitions cuts the same hashes into `n` ranges, the
//! buckets; the owner of a bucket is the owner of the group in which it begins. A result that has no key,
//! such as that of `count`, ends at the owner of the first group.
//!
//! **Order.** A bucket has the records of process 0, then those of process 1, and so on; of each process
//! those of its first task first, each task's in their order. Where process 0 has the first blocks of a
//! batch, process 1 those behind them, and so on, this is the order in which a single process would have
//! them.
//!
//! **Failures.** An exchange that fails fails the operator in this batch, in the process that notices. A
//! process whose own input of the operator failed says so to the others, where the operator fails for that
//! reason: nobody goes on with a part. What arrives must come from the same batch, step, operator, types,
//! number of buckets and seed, and have the right checksum: a program that was edited on one host is found
//! out by the first operator that differs.
//!
//! A context that is stepped by [`run_batches`](crate::StreamingContext::run_batches) is led by nobody: it plans
//! its own batches and has its own checkpoint, and only exchanges with the others.
//!
//! `docs/cluster.md` is about programs that run so, and `docs/architecture.md` says which operators end in an
//! exchange, and what is local by definition.

pub(crate) mod loopback;
#[cfg(test)]
mod restarts;
pub(crate) mod wire;

use std::{fmt, ops::Range};

use bytes::Bytes;

use crate::{Error, Result, Time, clock::CancellationToken};

pub use crate::error::ExchangeError;
pub(crate) use wire::{Wire, chunks_of, collect_seq};

/// Into how many groups keys are divided: many more than there are processes, and the same in every program,
/// so that what a checkpoint says of groups stays right.
pub const KEY_GROUPS: usize = 1024;

/// Moves bytes between the processes that run one program.
///
/// An implementation knows nothing of records: it hands each process one message from every other one. It
/// must
///
/// * deliver a message whole or not at all, and those from one process to another in the order of their
///   steps;
/// * give up after some time, and at once when it knows that a process is gone: nothing may wait for ever;
/// * drop a message of an earlier step than the one that is asked for: that step has failed here.
///
/// [`LoopbackCluster`](crate::testing::LoopbackCluster) is one for tests.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Which process this is, counted from 0.
    fn process(&self) -> usize;

    /// How many processes there are, at least 1; with 1 nothing is exchanged.
    fn processes(&self) -> usize;

    /// The key groups that a process owns. The ranges of process 0, 1, .. must follow one another from 0 to
    /// [`KEY_GROUPS`], and be the same whichever process is asked. By default they are of about the same
    /// length.
    fn key_groups(&self, process: usize) -> Range<usize> {
        let n = self.processes().max(1);
        process * KEY_GROUPS / n..(process + 1) * KEY_GROUPS / n
    }

    /// Connects to all other processes, before anything is exchanged by a context that is started. It may wait
    /// for them as long as it takes, but returns when `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// If that can't work, or has been stopped.
    fn connect(&self, stop: &CancellationToken) -> Result<(), ExchangeError> {
        let _ = stop;
        Ok(())
    }

    /// Sends `messages[p]` to process `p`, and returns what each process has sent here in the same step, by
    /// process. At the place of this process itself both are empty.
    ///
    /// It is called by one thread at a time, once a step, in the same order by every process that runs the
    /// same program.
    ///
    /// # Errors
    ///
    /// If a process can't be reached, is gone, does not answer in time, or has gone on to a later step. The
    /// batch fails, and no further step of it is exchanged.
    fn exchange(&self, step: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError>;

    /// Tells every other process something, such as that a batch begins: only process 0 does. Returns as soon
    /// as it is on its way.
    ///
    /// # Errors
    ///
    /// If a process is known to be gone.
    fn announce(&self, message: Bytes) -> Result<(), ExchangeError>;

    /// The next announcement of process 0, in their order. Waits for it without limit as long as that process
    /// is there: `None` when `stop` is cancelled before.
    ///
    /// # Errors
    ///
    /// If process 0 can't be reached or is gone.
    fn announcement(&self, stop: &CancellationToken) -> Result<Option<Bytes>, ExchangeError>;
}

/// Which exchange of a program this is. Steps are ordered by batch, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeStep<'a> {
    /// The batch.
    pub batch: Time,
    /// The number of the exchange in its batch, counted from 0.
    pub number: u32,
    /// The operator, as written: `reduce_by_key`.
    pub operator: &'a str,
    /// The source file in which it is written.
    pub file: &'a str,
    /// The line in that file.
    pub line: u32,
}

/// What a process does among those that run one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has its own batches.
    Alone,
    /// Process 0 of so many: it plans the batches of all, writes the checkpoint and has the outputs.
    Leader {
        /// How many there are.
        of: usize,
    },
    /// It runs the batches that process 0 announces.
    Follower {
        /// Which one it is.
        process: usize,
        /// How many there are.
        of: usize,
    },
}

impl Role {
    /// That of a process in a cluster.
    pub(crate) fn in_cluster(exchange: Option<&dyn Exchange>) -> Role {
        match exchange.map(|exchange| (exchange.process(), exchange.processes())) {
            None | Some((_, 0 | 1)) => Role::Alone,
            Some((0, of)) => Role::Leader { of },
            Some((process, of)) => Role::Follower { process, of },
        }
    }

    /// Which process it is, and of how many.
    pub(crate) fn place(self) -> (usize, usize) {
        match self {
            Role::Alone => (0, 1),
            Role::Leader { of } => (0, of),
            Role::Follower { process, of } => (process, of),
        }
    }

    pub(crate) fn is_follower(self) -> bool {
        matches!(self, Role::Follower { .. })
    }
}

/// Which of `buckets` the owner of these key groups owns: those that begin in one of them.
pub(crate) fn owned_buckets(groups: &Range<usize>, buckets: usize) -> Range<usize> {
    let first = |group: usize| (group * buckets).div_ceil(KEY_GROUPS);
    first(groups.start)..first(groups.end)
}

/// The key groups of this process; all, if it is alone.
pub(crate) fn own_groups(exchange: Option<&dyn Exchange>) -> Range<usize> {
    exchange.map_or(0..KEY_GROUPS, |exchange| exchange.key_groups(exchange.process()))
}

/// A range of key groups, as a checkpoint says whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Part {
    /// That of a process which is alone.
    pub(crate) const ALL: Part = Part { start: 0, end: KEY_GROUPS as u32 };

    pub(crate) fn of(groups: Range<usize>) -> Part {
        // There are 1,024, and an implementation that says otherwise has been refused.
        let at = |group: usize| group.min(KEY_GROUPS) as u32;
        Part { start: at(groups.start), end: at(groups.end) }
    }

    /// The key groups in which keys can be of those of `buckets` that the owner of this part owns.
    pub(crate) fn over(self, buckets: usize) -> Part {
        let owned = owned_buckets(&(self.start as usize..self.end as usize), buckets);
        Part::of(owned.start * KEY_GROUPS / buckets..(owned.end * KEY_GROUPS).div_ceil(buckets))
    }

    pub(crate) fn overlaps(self, other: Part) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }

    /// Whether `other` begins here: of what has no keys, each part is taken over by one process.
    pub(crate) fn has_start_of(self, other: Part) -> bool {
        (self.start..self.end).contains(&other.start)
    }
}

/// Refuses an exchange that divides the key groups in a way that can't work.
pub(crate) fn check(exchange: &dyn Exchange) -> Result<()> {
    let (process, processes) = (exchange.process(), exchange.processes());
    if process >= processes {
        return Err(Error::Invalid(format!(
            "the exchange says that this is process {process} of {processes}: processes are counted from 0"
        )));
    }
    let mut next = 0;
    for process in 0..processes {
        let groups = exchange.key_groups(process);
        let last = process + 1 == processes;
        if groups.start != next || groups.end < next || last && groups.end != KEY_GROUPS {
            return Err(Error::Invalid(format!(
                "the exchange gives process {process} of {processes} the key groups {groups:?}: the ranges of all processes \
                 must follow one another from 0 to {KEY_GROUPS}"
            )));
        }
        next = groups.end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Of(usize, usize, fn(usize) -> Range<usize>);

    impl Exchange for Of {
        fn process(&self) -> usize {
            self.0
        }

        fn processes(&self) -> usize {
            self.1
        }

        fn key_groups(&self, process: usize) -> Range<usize> {
            (self.2)(process)
        }

        fn exchange(&self, _: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError> {
            Ok(messages)
        }

        fn announce(&self, _: Bytes) -> Result<(), ExchangeError> {
            Ok(())
        }

        fn announcement(&self, _: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
            Ok(None)
        }
    }

    #[derive(Debug)]
    struct Even(usize);

    impl Exchange for Even {
        fn process(&self) -> usize {
            0
        }

        fn processes(&self) -> usize {
            self.0
        }

        fn exchange(&self, _: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError> {
            Ok(messages)
        }

        fn announce(&self, _: Bytes) -> Result<(), ExchangeError> {
            Ok(())
        }

        fn announcement(&self, _: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
            Ok(None)
        }
    }

    #[test]
    fn every_bucket_has_one_owner_in_the_order_of_the_processes() {
        for processes in [1, 2, 3, 7, 64, 2000] {
            let even = Even(processes);
            check(&even).unwrap();
            for buckets in [1, 2, 3, 16, 100, 1024, 65_536] {
                let mut next = 0;
                for process in 0..processes {
                    let groups = even.key_groups(process);
                    let owned = owned_buckets(&groups, buckets);
                    assert_eq!(owned.start, next);
                    next = owned.end;
                    for bucket in owned.clone() {
                        assert!(groups.contains(&(bucket * KEY_GROUPS / buckets)), "{bucket} of {buckets}");
                    }
                    let holds = Part::of(groups).over(buckets);
                    let first = |bucket: usize| (bucket * KEY_GROUPS / buckets) as u32;
                    for bucket in owned {
                        assert!(holds.start <= first(bucket) && first(bucket) < holds.end);
                    }
                    assert!(processes > 1 || holds == Part::ALL);
                }
                assert_eq!(next, buckets);
            }
        }
    }

    #[test]
    fn key_groups_that_leave_a_gap_are_refused() {
        let refusal = |process, processes, groups| {
            check(&Of(process, processes, groups)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(1, 2, |p| if p == 0 { 0..1000 } else { 1000..1024 }), "");
        assert!(refusal(2, 2, |_| 0..1024).contains("process 2 of 2"));
        assert!(refusal(0, 2, |p| if p == 0 { 0..10 } else { 11..1024 }).contains("11..1024"));
        assert!(refusal(0, 2, |p| if p == 0 { 0..10 } else { 10..1000 }).contains("10..1000"));
    }
}
