//! Which batches a transactional sink has written, as text that is kept with an offset.

use std::{fmt, str::FromStr};

/// How many runs are kept: as many as the metadata of an offset holds.
const RUNS: usize = 100;

/// The times of batches that are written, in milliseconds: runs of equal steps, of which a sink that misses
/// no batch has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    runs: Vec<Run>,
    /// Runs before these are not known any more.
    cut: bool,
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
    pub(crate) fn contains(&self, time: u64) -> bool {
        // A batch as old as that is not run again.
        let forgotten = self.cut && self.runs.first().is_some_and(|first| time < first.first);
        forgotten || self.runs.iter().any(|run| run.contains(time))
    }

    pub(crate) fn add(&mut self, time: u64) {
        if self.contains(time) {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.more == 0 && time > run.first => {
                (run.step, run.more) = (time - run.first, 1);
            }
            Some(run) if time == run.last().saturating_add(run.step) && run.more > 0 => run.more += 1,
            _ => self.runs.push(Run { first: time, step: 0, more: 0 }),
        }
        if self.runs.len() > RUNS {
            self.runs.sort_by_key(|run| run.first);
            self.runs.remove(0);
            self.cut = true;
        }
    }

    /// The latest time.
    pub(crate) fn last(&self) -> u64 {
        self.runs.iter().map(|run| run.last()).max().unwrap_or(0)
    }
}

/// `-` if older ones were cut off, and then `first+step*more` of each run.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.cut { "-" } else { "" })?;
        for (at, Run { first, step, more }) in self.runs.iter().enumerate() {
            write!(f, "{}{first}+{step}*{more}", if at == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl FromStr for Ledger {
    type Err = String;

    fn from_str(text: &str) -> Result<Ledger, String> {
        let (cut, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let run = |text: &str| {
            let (first, rest) = text.split_once('+')?;
            let (step, more) = rest.split_once('*')?;
            Some(Run { first: first.parse().ok()?, step: step.parse().ok()?, more: more.parse().ok()? })
        };
        let runs = rest.split(';').filter(|run| !run.is_empty()).map(run).collect::<Option<_>>();
        let runs = runs.ok_or_else(|| format!("`{text}` is no list of written batches"))?;
        Ok(Ledger { runs, cut })
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
            ledger.add(*time);
            ledger.add(*time);
            for other in (0..30_000).step_by(500) {
                assert_eq!(ledger.contains(other), times[..=at].contains(&other), "{other} of {ledger}");
            }
            assert_eq!(ledger.to_string().parse(), Ok(ledger.clone()));
        }
        assert_eq!(ledger.last(), 26_000);
    }

    #[test]
    fn a_sink_that_misses_nothing_needs_little() {
        let mut ledger = Ledger::default();
        (1..=1_000_000).for_each(|n| ledger.add(n * 1_000));
        assert_eq!(ledger.to_string(), "1000+1000*999999");
    }

    #[test]
    fn its_size_is_bounded() {
        let mut ledger = Ledger::default();
        (1..1_000u64).for_each(|n| ledger.add(1_760_000_000_000 + n * n * 1_000));
        assert!(ledger.to_string().len() < 4_096);
        assert!(ledger.contains(5));
        for text in ["x", "1+2", "1+2*", "1+2*3;;4"] {
            assert!(text.parse::<Ledger>().is_err() || text.contains(";;"), "{text}");
        }
    }
}
