//! Whether batches keep up with the clock, and when to say that they don't.

use std::time::Duration;

use crate::{Time, logs};

/// Follows how late batches end. A batch that ends more than an interval after its time is behind: the next
/// one should have begun by then.
///
/// It is said when batches fall behind, again whenever they are twice as late as when it was said last, and
/// once when they have caught up. If they fall behind again and again it is said the first time, the second,
/// the fourth and so on.
#[derive(Debug)]
pub(super) struct Behind {
    interval: Duration,
    /// How often batches have fallen behind.
    times: u64,
    /// Since they have fallen behind: from how late a batch on it is said again, and whether it was said at
    /// all.
    now: Option<Late>,
}

#[derive(Debug)]
struct Late {
    say_from: Duration,
    said: bool,
}

/// What there is to say after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Batches are behind.
    Behind {
        /// How long after its time the batch has ended.
        delay: Duration,
        /// How often batches have fallen behind, with this time.
        times: u64,
    },
    /// Batches have caught up.
    CaughtUp,
}

impl Behind {
    pub(super) fn new(interval: Duration) -> Behind {
        Behind { interval, times: 0, now: None }
    }

    /// Takes in that a batch has ended, and returns what there is to say.
    pub(super) fn batch_ended(&mut self, batch: Time, now: Time) -> Option<Standing> {
        let delay = now.since(batch);
        if delay <= self.interval {
            return self.now.take().filter(|late| late.said).map(|_| Standing::CaughtUp);
        }
        if self.now.is_none() {
            self.times += 1;
        }
        let times = self.times;
        let late = self.now.get_or_insert(Late { say_from: delay, said: false });
        if delay < late.say_from || !(late.said || times.is_power_of_two()) {
            return None;
        }
        *late = Late { say_from: delay.saturating_mul(2), said: true };
        Some(Standing::Behind { delay, times })
    }

    /// Logs what [`batch_ended`](Behind::batch_ended) returned. `took` is how long the batch was processed,
    /// and `waiting` how many wait behind it.
    pub(super) fn log(&self, standing: Standing, batch: Time, took: Duration, waiting: usize) {
        let interval = self.interval;
        match standing {
            Standing::Behind { delay, times } => {
                let again = if times > 1 { format!(", for the {times}. time") } else { String::new() };
                logs::warn!(
                    "batches are behind{again}: the one of {batch} took {took:?} at an interval of \
                     {interval:?}, and ended {delay:?} after its time; {waiting} wait"
                );
            }
            Standing::CaughtUp => {
                logs::info!("batches have caught up with the clock: the one of {batch} took {took:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is said of batches with a time each second, which end so many milliseconds after it: the delay,
    /// or 0 for caught up.
    fn said(behind: &mut Behind, delays: &[u64]) -> Vec<Option<u64>> {
        let batches = delays.iter().enumerate().map(|(n, delay)| {
            let batch = Time::from_millis(1000 * (n as u64 + 1));
            match behind.batch_ended(batch, batch + Duration::from_millis(*delay)) {
                Some(Standing::Behind { delay, .. }) => Some(delay.as_millis() as u64),
                Some(Standing::CaughtUp) => Some(0),
                None => None,
            }
        });
        batches.collect()
    }

    #[test]
    fn batches_that_keep_up_say_nothing() {
        assert_eq!(said(&mut Behind::new(SECOND), &[0, 999, 1000, 5]), [None; 4]);
    }

    #[test]
    fn it_is_said_once_then_at_doubling_distances_and_once_when_caught_up() {
        // Each batch takes 2.5 s, then none takes any time.
        let delays = [2500, 4000, 5500, 7000, 8500, 10_000, 9000, 4000, 1001, 500, 200];
        let expected = [Some(2500), None, Some(5500), None, None, None, None, None, None, Some(0), None];
        assert_eq!(said(&mut Behind::new(SECOND), &delays), expected);
    }

    #[test]
    fn batches_that_fall_behind_again_and_again_say_it_ever_less_often() {
        let mut behind = Behind::new(SECOND);
        let episodes: Vec<bool> = (0..9).map(|_| said(&mut behind, &[1500, 100])[0].is_some()).collect();
        assert_eq!(episodes, [true, true, false, true, false, false, false, true, false]);
        // What was not said has no end that is said.
        assert_eq!(said(&mut behind, &[1500, 100]), [None, None]);
    }
}
