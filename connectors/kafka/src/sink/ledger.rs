//! Which batches a transactional sink has written, as text that is kept with an offset.

use std::{fmt, str::FromStr};

/// How many runs are kept: as many as the metadata of an offset holds.
const RUNS: usize = 100;

/// The times of batches that are written, in milliseconds: runs of equal steps, of which a sink that misses
/// no batch has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    runs: Vec<Run>,
    /// The first time of which it is known whether it is written: older ones are not run again.
    known_from: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    step: u64,
    /// How many times follow the first.
    more: u64,
}

impl Run {
    fn last(self) -> u64 {
        self.first.saturating_add(self.step.saturating_mul(self.more))
    }

    fn contains(self, time: u64) -> bool {
        let since = time.checked_sub(self.first);
        since.is_some_and(|since| match self.step {
            0 => since == 0,
            step => since % step == 0 && since / step <= self.more,
        })
    }
}

impl Ledger {
    /// Whether the batch at `time` is written. `Err` if that is not known any more.
    pub(crate) fn contains(&self, time: u64) -> Result<bool, String> {
        if time < self.known_from {
            return Err(format!(
                "which batches before {} are written is not recorded any more, and the batch at {time} is \
                 one: the program has gone back to an older checkpoint; give the output another name, by \
                 `.named(..)` behind it, to write it again",
                self.known_from
            ));
        }
        Ok(self.runs.iter().any(|run| run.contains(time)))
    }

    /// Records that the batch at `time` is written. No batch before `rerun_from` is run again. `Err` if there
    /// is no room.
    pub(crate) fn add(&mut self, time: u64, rerun_from: u64) -> Result<(), String> {
        let before = self.runs.len();
        self.runs.retain(|run| run.last() >= rerun_from);
        if self.runs.len() < before {
            self.known_from = self.known_from.max(rerun_from);
        }
        if self.runs.iter().any(|run| run.contains(time)) {
            return Ok(());
        }
        match self.runs.last_mut() {
            Some(run) if run.more == 0 && time > run.first => {
                (run.step, run.more) = (time - run.first, 1);
            }
            Some(run) if time == run.last().saturating_add(run.step) && run.more > 0 => run.more += 1,
            _ => self.runs.push(Run { first: time, step: 0, more: 0 }),
        }
        if self.runs.len() > RUNS {
            return Err(format!(
                "the batches that are written since the one at {rerun_from} don't fit into the metadata of \
                 an offset: a batch has failed then; start the program again, so that it is written"
            ));
        }
        Ok(())
    }

    /// The latest time.
    pub(crate) fn last(&self) -> u64 {
        self.runs.iter().map(|run| run.last()).max().unwrap_or(0)
    }
}

/// `known_from-` if older ones were cut off, and then `first+step*more` of each run.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.known_from > 0 {
            write!(f, "{}-", self.known_from)?;
        }
        for (at, Run { first, step, more }) in self.runs.iter().enumerate() {
            write!(f, "{}{first}+{step}*{more}", if at == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl FromStr for Ledger {
    type Err = String;

    fn from_str(text: &str) -> Result<Ledger, String> {
        let run = |text: &str| {
            let (first, rest) = text.split_once('+')?;
            let (step, more) = rest.split_once('*')?;
            Some(Run { first: first.parse().ok()?, step: step.parse().ok()?, more: more.parse().ok()? })
        };
        let parse = || {
            let (known_from, rest) = text.split_once('-').unwrap_or(("0", text));
            let runs = rest.split(';').filter(|run| !run.is_empty()).map(run).collect::<Option<_>>()?;
            Some(Ledger { runs, known_from: known_from.parse().ok()? })
        };
        parse().ok_or_else(|| format!("`{text}` is no list of written batches"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        let mut ledger = Ledger::default();
        // A batch is missed, some come more seldom, and the missed one comes at last.
        let times = [1_000, 2_000, 3_000, 5_000, 6_000, 16_000, 26_000, 4_000];
        for (at, time) in times.iter().enumerate() {
            assert_eq!(ledger.add(*time, 0), Ok(()));
            assert_eq!(ledger.add(*time, 0), Ok(()));
            for other in (0..30_000).step_by(500) {
                let expected = Ok(times[..=at].contains(&other));
                assert_eq!(ledger.contains(other), expected, "{other} of {ledger}");
            }
            assert_eq!(ledger.to_string().parse(), Ok(ledger.clone()));
        }
        assert_eq!(ledger.last(), 26_000);
    }

    #[test]
    fn a_sink_that_misses_nothing_needs_little() {
        let mut ledger = Ledger::default();
        (1..=1_000_000).for_each(|n| assert_eq!(ledger.add(n * 1_000, n * 1_000), Ok(())));
        assert_eq!(ledger.to_string(), "1000000000-1000000000+0*0");
        let mut ledger = Ledger::default();
        (1..=1_000_000).for_each(|n| assert_eq!(ledger.add(n * 1_000, 1_000), Ok(())));
        assert_eq!(ledger.to_string(), "1000+1000*999999");
    }

    #[test]
    fn what_is_not_run_again_makes_room() {
        let mut ledger = Ledger::default();
        let time = |n: u64| 1_760_000_000_000 + n * n * 1_000;
        (1..1_000).for_each(|n| assert_eq!(ledger.add(time(n), time(n)), Ok(())));
        assert!(ledger.to_string().len() < 4_096);
        assert_eq!((ledger.contains(time(999)), ledger.contains(time(999) + 1)), (Ok(true), Ok(false)));
        assert!(ledger.contains(5).is_err_and(|error| error.contains("an older checkpoint")));
        assert_eq!(ledger.to_string().parse(), Ok(ledger));
    }

    /// A batch that failed is run again by a restart, whatever was written since.
    #[test]
    fn a_batch_that_failed_is_never_taken_for_written() {
        let mut ledger = Ledger::default();
        let time = |n: u64| n * n * 1_000;
        (1..50).for_each(|n| assert_eq!(ledger.add(time(n), time(n)), Ok(())));
        let failed = time(50);
        let full = (51..1_000).find(|n| ledger.add(time(*n), failed).is_err());
        assert!(full.is_some_and(|n| n > 100), "{full:?}");
        assert_eq!(ledger.contains(failed), Ok(false));
        assert_eq!(ledger.contains(time(51)), Ok(true));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in ["x", "1+2", "1+2*", "x-1+2*3", "-1+2*3"] {
            assert!(text.parse::<Ledger>().is_err(), "{text}");
        }
    }
}
