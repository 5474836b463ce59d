//! Back-pressure: sources are slowed down while batches take longer than their interval, and what becomes of
//! batches that are behind all the same.
//!
//! As long as batches keep up with the clock, nothing is limited. Once a batch is still running when the
//! next but one is due, its sources give nothing to further batches until it is done; then each of them may
//! give as much as the batches have been seen to process, by the PID rate estimator of Spark Streaming
//! ([`Backpressure`]). A receiver that may store no more waits, so that a socket is not read and the producer
//! is slowed down; a broker, a queue and a folder keep what is beyond. From then on the limit follows what
//! the pipeline can do, and a source that gives less does not notice it.
//!
//! Both settings are of a context that is started. Batches that are stepped, by
//! [`run_batches`](crate::StreamingContext::run_batches) or
//! [`run_to_end`](crate::StreamingContext::run_to_end), have no time that they could take too much of.

mod estimator;

pub(crate) use estimator::{PidRateEstimator, Sample};

use crate::{Error, Result};

/// How fast sources may be while batches take longer than their interval: the settings of the rate estimator.
///
/// Rates are records a second of one source. Of a source that does not know its records before they are read,
/// such as one of files, each 1,024 bytes count as a record; a file is not cut.
///
/// After each batch the estimator compares the last rate with the one at which the batch was processed:
///
/// ```text
/// processed = records of the source / processing time
/// error     = last rate - processed
/// backlog   = scheduling delay * processed / batch interval
/// new rate  = last rate - proportional * error - integral * backlog
///           - derivative * (change of error a second)
/// ```
///
/// This is the arithmetic of `spark.streaming.backpressure.*`, with its defaults. There back-pressure has to
/// be turned on, and limits a program from its first batch on, also to what it happened to have while it was
/// nearly idle; here only a batch that has taken long, or as much as it might, lowers a rate.
///
/// ```
/// use dstream::{Config, backpressure::Backpressure};
///
/// let config = Config::new().backpressure(Backpressure::new().min_rate(1_000));
/// let as_fast_as_they_can = Config::new().backpressure(Backpressure::off());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "settings have an effect where they are given to a context: `Config::backpressure`"]
pub struct Backpressure {
    pub(crate) enabled: bool,
    pub(crate) min_rate: u64,
    pub(crate) initial_rate: Option<u64>,
    pub(crate) proportional: f64,
    pub(crate) integral: f64,
    pub(crate) derivative: f64,
}

impl Default for Backpressure {
    fn default() -> Backpressure {
        Backpressure {
            enabled: true,
            min_rate: 100,
            initial_rate: None,
            proportional: 1.0,
            integral: 0.2,
            derivative: 0.0,
        }
    }
}

impl Backpressure {
    /// The defaults.
    pub fn new() -> Backpressure {
        Backpressure::default()
    }

    /// No back-pressure: each batch takes all that its sources have, within
    /// [`Config::max_rate`](crate::Config::max_rate).
    pub fn off() -> Backpressure {
        Backpressure { enabled: false, ..Backpressure::default() }
    }

    /// The lowest rate that the estimator gives. Default: 100 records a second.
    pub fn min_rate(mut self, records_per_second: u64) -> Backpressure {
        self.min_rate = records_per_second;
        self
    }

    /// The rate of each source until a first batch was processed: for a program that finds a long backlog
    /// when it starts. Default: no limit.
    pub fn initial_rate(mut self, records_per_second: u64) -> Backpressure {
        self.initial_rate = Some(records_per_second);
        self
    }

    /// The weight of the error. Default: 1.0, so that the rate becomes that of the last batch.
    pub fn proportional(mut self, weight: f64) -> Backpressure {
        self.proportional = weight;
        self
    }

    /// The weight of the records that wait. Default: 0.2, so that a backlog of one interval makes the rate
    /// a fifth lower than that of the last batch.
    pub fn integral(mut self, weight: f64) -> Backpressure {
        self.integral = weight;
        self
    }

    /// The weight of the change of the error. Default: 0.0.
    pub fn derivative(mut self, weight: f64) -> Backpressure {
        self.derivative = weight;
        self
    }

    /// Refuses what can't work.
    pub(crate) fn check(&self) -> Result<()> {
        let rates = [("min_rate", Some(self.min_rate)), ("initial_rate", self.initial_rate)];
        for (setting, found) in rates {
            if found == Some(0) {
                return Err(Error::Invalid(format!(
                    "`{setting}` of the back-pressure is 0, but must be at least 1"
                )));
            }
        }
        let weights = [
            ("proportional", self.proportional),
            ("integral", self.integral),
            ("derivative", self.derivative),
        ];
        for (setting, found) in weights {
            if !found.is_finite() || found < 0.0 {
                return Err(Error::Invalid(format!(
                    "`{setting}` of the back-pressure is {found}, but must be a number that is not negative"
                )));
            }
        }
        Ok(())
    }
}

/// What becomes of the batches that are behind, see
/// [`Config::max_batches_behind`](crate::Config::max_batches_behind).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBehind {
    /// Each interval has a batch of its own. Beyond the largest number that may wait, the batch clock waits:
    /// the batches come later, one by one, with their own times, and what arrives stays with the sources.
    #[default]
    RunEach,
    /// The intervals beyond it have one batch together, at the time of the last one: fewer and larger
    /// batches. Only for pipelines that keep nothing from batch to batch, since a window or a state needs
    /// each of its batches; another pipeline is refused at the start.
    Merge,
    /// The context stops, with an error that says how far it was behind: for a program that is of no use when
    /// it is late, and is restarted or replaced by somebody who watches it.
    Stop,
}

/// How many bytes count as a record of a source that does not know its records before they are read.
pub(crate) const BYTES_OF_A_RECORD: u64 = 1024;
