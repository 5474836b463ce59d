//! Exponential back-off: how long to wait before what has failed is tried again.

use std::time::Duration;

/// The wait after this many failures in a row: `first` after one, twice as long after each one more, `max` at
/// most.
pub(crate) fn backoff(first: Duration, max: Duration, failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let s = Duration::from_secs;
        let waits: Vec<_> = (1..=5).map(|failures| backoff(s(1), s(5), failures)).collect();
        assert_eq!(waits, [s(1), s(2), s(4), s(5), s(5)]);
        assert_eq!(backoff(s(1), s(9), u32::MAX), s(9));
        assert_eq!(backoff(s(0), s(9), 3), s(0));
    }
}
