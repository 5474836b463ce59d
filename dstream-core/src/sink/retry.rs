//! How often, and how long, a transient error is retried.

use std::time::Duration;

use crate::backoff::backoff;

/// How an output is retried after a [transient](crate::sink::SinkError) error: the option `retry` of every
/// output.
///
/// The waits are an exponential back-off: each is twice as long as the one before, up to a limit. They are by
/// the context's [clock](crate::Config::clock). While an output waits, its batch is not done and later
/// batches wait; receivers go on until their bounded buffers are full. A stop ends the wait: a graceful one
/// when its limit has passed, any other at once.
///
/// Without the option an output of a started context is retried without an end, as by `Retry::new()`; where
/// batches are stepped by [`run_batches`](crate::StreamingContext::run_batches) or
/// [`run_to_end`](crate::StreamingContext::run_to_end), it is not, so that whoever steps them is told at
/// once.
///
/// ```
/// use dstream::{prelude::*, sink::Retry};
/// use std::time::Duration;
///
/// let ssc = dstream::stream!(batch = 1s, {
///     let nums = queue_stream(vec![vec![1u64, 2]]);
///     nums.foreach_rdd(
///         |rdd| -> std::io::Result<()> { drop(rdd); Ok(()) },
///         retry = Retry::new().attempts(10).delays(Duration::from_millis(50), Duration::from_secs(5)),
///     );
///     nums.print(retry = Retry::never());
/// })?;
/// ssc.run_batches(1)?;
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "has an effect as the option `retry` of an output"]
pub struct Retry {
    pub(super) attempts: Option<u32>,
    pub(super) first_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) deadline: Option<Duration>,
}

impl Retry {
    /// Retries without an end, after 100 milliseconds at first, after 30 seconds at last.
    #[allow(clippy::new_without_default)] // What is the default depends on the context.
    pub fn new() -> Retry {
        Retry {
            attempts: None,
            first_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            deadline: None,
        }
    }

    /// One attempt and no other.
    pub fn never() -> Retry {
        Retry::new().attempts(1)
    }

    /// At most so many attempts a batch, with the first; 0 is taken as 1.
    pub fn attempts(mut self, attempts: u32) -> Retry {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// How long to wait after the first attempt, and at most.
    pub fn delays(mut self, first: Duration, max: Duration) -> Retry {
        self.first_delay = first;
        self.max_delay = max.max(first);
        self
    }

    /// No attempt begins later than this after the first one of its batch.
    pub fn deadline(mut self, deadline: Duration) -> Retry {
        self.deadline = Some(deadline);
        self
    }

    /// The wait before the next attempt, when attempt number `attempt` has failed after `elapsed`; `None` if
    /// there is none.
    pub(super) fn delay(&self, attempt: u32, elapsed: Duration) -> Option<Duration> {
        if self.attempts.is_some_and(|attempts| attempt >= attempts) {
            return None;
        }
        let delay = backoff(self.first_delay, self.max_delay, attempt);
        let late = self.deadline.is_some_and(|deadline| elapsed.saturating_add(delay) > deadline);
        (!late).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit() {
        let s = Duration::from_secs;
        let retry = Retry::new().attempts(6).delays(s(1), s(5));
        let delays: Vec<_> = (1..=6).map(|attempt| retry.delay(attempt, s(0))).collect();
        assert_eq!(delays, [Some(s(1)), Some(s(2)), Some(s(4)), Some(s(5)), Some(s(5)), None]);
        assert_eq!(Retry::new().delays(s(1), s(9)).delay(u32::MAX, s(0)), Some(s(9)));
        let retry = Retry::new().delays(s(1), s(9)).deadline(s(10));
        assert_eq!(retry.delay(2, s(8)), Some(s(2)));
        assert_eq!(retry.delay(2, s(9)), None);
        assert_eq!(Retry::never().delay(1, s(0)), None);
    }
}
