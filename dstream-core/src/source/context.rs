//! The context of a source: its clock, settings and limits.

use std::{sync::Arc, time::Duration};

use crate::{
    Config, Error, Time,
    clock::{CancellationToken, Clock},
    exchange::Role,
    receiver::ReceiverLog,
};

/// What a source may use of its context while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceContext {
    /// The clock of the context; the only place to ask for the time.
    pub clock: Arc<dyn Clock>,
    /// The settings of the context.
    pub config: Config,
    /// The batch interval.
    pub interval: Duration,
    /// Cancelled when the context stops, before [`Source::stop`](crate::source::Source::stop) is called: what
    /// waits in [`plan`](crate::source::Source::plan) must return then. Threads can wait for it, and async
    /// tasks await it.
    pub stopping: CancellationToken,
    /// What the source writes to the log of receivers, if there is a checkpoint. A
    /// [`Receiver`](crate::receiver::Receiver) does by itself.
    pub log: Option<ReceiverLog>,
    /// Whether the context is run by [`run_to_end`](crate::StreamingContext::run_to_end): what is there is
    /// all there is.
    pub to_end: bool,
    /// What events call the source, where that is not its own name.
    pub(crate) label: Option<String>,
    /// Whose batches the source gives.
    pub(crate) role: Role,
}

impl SourceContext {
    /// The context of a source that a test drives by hand: without a log, and with a token that nobody else
    /// cancels.
    pub fn new(config: Config, interval: Duration) -> SourceContext {
        SourceContext {
            clock: Arc::clone(&config.clock),
            config,
            interval,
            stopping: CancellationToken::new(),
            log: None,
            to_end: false,
            label: None,
            role: Role::Alone,
        }
    }

    /// Reports that records were lost, such as those of a file that can't be read: in the log, to
    /// [`Config::on_report`], and as the result of [`run_to_end`](crate::StreamingContext::run_to_end). The
    /// batch does not fail. An error of [`Block::open`](crate::block::Block::open) is reported by itself.
    pub fn report(&self, error: Error) {
        self.config.reports.report(error);
    }
}

/// How much one batch may take from a source. What is beyond stays for later batches.
///
/// ```
/// use dstream::source::Limits;
///
/// let waiting = 1_500;
/// assert_eq!(Limits::none().at_most(waiting), 1_500);
/// assert_eq!(Limits::records(1_000).at_most(waiting), 1_000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest number of records; `None` if there is no limit.
    pub records: Option<u64>,
    /// The largest number of bytes, for a source that can't know its records before they are read, such as
    /// one of files; `None` if there is no limit. Only [back-pressure](crate::backpressure) sets it.
    pub bytes: Option<u64>,
}

impl Limits {
    /// No limit.
    pub fn none() -> Limits {
        Limits::default()
    }

    /// At most so many records.
    pub fn records(records: u64) -> Limits {
        Limits { records: Some(records), bytes: None }
    }

    /// Nothing at all: batches that are planned already take too long.
    pub(crate) fn nothing() -> Limits {
        Limits { records: Some(0), bytes: Some(0) }
    }

    /// Whether the batch may take nothing, of whatever kind.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Limits::nothing()
    }

    /// How many of `records` records that wait the batch may take.
    pub fn at_most(&self, records: u64) -> u64 {
        self.records.map_or(records, |limit| limit.min(records))
    }

    /// Those of the batch at `time`, by the settings alone.
    pub(crate) fn of_batch(config: &Config, time: Time, interval: Duration) -> Limits {
        config.max_rate.map_or(Limits::none(), |rate| Limits::records(due(rate, time, interval)))
    }

    /// Those of what is stored before the first batch is planned.
    pub(crate) fn of_first_batch(config: &Config, time: Time, interval: Duration) -> Limits {
        let backpressure = config.backpressure_settings();
        let initial = backpressure.initial_rate.filter(|_| backpressure.enabled);
        let rate = initial.into_iter().chain(config.max_rate).min();
        rate.map_or(Limits::none(), |rate| Limits::records(due(rate, time, interval)))
    }
}

/// How many records are due in the batch at `time` at so many a second. Counted since the epoch, so that a
/// rate that is no multiple of the batches in a second is kept on average.
pub(crate) fn due(rate: u64, time: Time, interval: Duration) -> u64 {
    let until = |time: Time| u128::from(time.as_millis()) * u128::from(rate) / 1000;
    u64::try_from(until(time) - until(time - interval)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_on_average() {
        let limits = |rate| {
            let config = Config::new().max_rate(rate);
            let batches = (1..=10).map(|k| Time::from_millis(k * 100));
            batches
                .map(|time| Limits::of_batch(&config, time, Duration::from_millis(100)).records.unwrap_or(0))
                .collect()
        };
        assert_eq!(limits(25), [2, 3, 2, 3, 2, 3, 2, 3, 2, 3] as [u64; 10]);
        let of_one: Vec<u64> = limits(1);
        assert_eq!(of_one.iter().sum::<u64>(), 1);
        assert_eq!(
            Limits::of_batch(&Config::new(), Time::from_millis(100), Duration::from_secs(1)),
            Limits::none()
        );
    }
}
