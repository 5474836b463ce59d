//! Batch times: milliseconds since the Unix epoch.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A point in time, in whole milliseconds since the Unix epoch.
///
/// The time of a batch is always a multiple of the batch interval. `Display` writes local time as
/// `2026-11-22 15:47:06`, with `.mmm` behind it when the time is not on a whole second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Time(u64);

impl Time {
    /// The time that is `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The first multiple of `interval` (counted from the epoch) strictly after `self`.
    ///
    /// ```
    /// use dstream::Time;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Time::from_millis(2_500).next_multiple_of(second), Time::from_millis(3_000));
    /// assert_eq!(Time::from_millis(3_000).next_multiple_of(second), Time::from_millis(4_000));
    /// ```
    pub fn next_multiple_of(self, interval: Duration) -> Time {
        let step = millis(interval).max(1);
        Time((self.0 / step).saturating_add(1).saturating_mul(step))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Writes local time; `with_millis` decides whether `.mmm` follows the seconds.
    pub(crate) fn to_local(self, with_millis: bool) -> String {
        let format = if with_millis { "%Y-%m-%d %H:%M:%S.%3f" } else { "%Y-%m-%d %H:%M:%S" };
        match i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            Some(at) => at.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string(),
            // Beyond the year 9999 there is no calendar to speak of.
            None => format!("{} ms", self.0),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_local(!self.0.is_multiple_of(1000)))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(millis(d)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(millis(d)))
    }
}

/// Whole milliseconds of a duration, saturating.
pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
