//! Models that learn while a stream runs.
//!
//! A [`Model`] is trained by [`train_on`](crate::DStream::train_on), and asked by
//! [`predict_on`](crate::DStream::predict_on) and
//! [`predict_on_values`](crate::DStream::predict_on_values). What they share is a [`ModelHandle`], by which
//! the program can read the model, too.
//!
//! The crate `dstream-ml` has models. One of your own needs nothing but this trait:
//!
//! ```
//! use dstream::{model::{Model, ModelError, ModelHandle, Next, Part}, prelude::*};
//!
//! /// The mean of all numbers there were.
//! #[derive(Clone, Record)]
//! struct Mean {
//!     sum: f64,
//!     count: u64,
//! }
//!
//! impl Model for Mean {
//!     type Example = f64;
//!     type Features = f64;
//!     type Prediction = f64;
//!     type Summary = (f64, u64);
//!     type State = (f64, u64);
//!
//!     fn summarize(&self, part: Part<'_, f64>) -> Result<(f64, u64), ModelError> {
//!         Ok((part.examples.iter().sum(), part.examples.len() as u64))
//!     }
//!
//!     fn update(&mut self, _round: u32, parts: Vec<(f64, u64)>) -> Result<Next, ModelError> {
//!         for (sum, count) in parts {
//!             self.sum += sum;
//!             self.count += count;
//!         }
//!         Ok(Next::Done)
//!     }
//!
//!     /// How far a number is from the mean.
//!     fn predict(&self, number: &f64) -> Result<f64, ModelError> {
//!         match self.count {
//!             0 => Err("the mean of no numbers is asked for: train it first".into()),
//!             count => Ok(number - self.sum / count as f64),
//!         }
//!     }
//!
//!     fn state(&self) -> (f64, u64) {
//!         (self.sum, self.count)
//!     }
//!
//!     fn restore(&mut self, (sum, count): (f64, u64)) -> Result<(), ModelError> {
//!         (self.sum, self.count) = (sum, count);
//!         Ok(())
//!     }
//! }
//!
//! let mean = ModelHandle::new(Mean { sum: 0.0, count: 0 });
//! let out = Collected::new();
//! # let dir = tempfile::tempdir().unwrap();
//! # let checkpoint = dir.path();
//! let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
//!     let numbers = queue_stream(vec![vec![1.0, 3.0], vec![5.0]]);
//!     numbers.train_on(&mean);
//!     numbers.predict_on(&mean).collect_to(&out);
//! })?;
//! ssc.run_batches(2)?;
//! assert_eq!(out.values(), [vec![-1.0, 1.0], vec![2.0]]);
//! assert_eq!(mean.latest().sum, 9.0);
//! # Ok::<(), dstream::Error>(())
//! ```

mod handle;
pub(crate) mod trainer;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::Data;

pub use handle::ModelHandle;

/// Something that learns from the records of each batch, and answers for records.
///
/// A batch is learned in *rounds*. In each, [`summarize`](Model::summarize) looks at the examples, a
/// partition at a time and several at once, and [`update`](Model::update) gets what came of all partitions,
/// in order. An iterative method asks for another round over the same examples. Where a program has several
/// processes, summaries are all that crosses between them, and every process makes the same model of them: so
/// `update` must depend on nothing else.
///
/// A round works on a copy: readers see the model of a whole batch, or that of the batch before.
pub trait Model: Data {
    /// What it learns from.
    type Example: Data;
    /// What it answers for.
    type Features: Data;
    /// What it answers.
    type Prediction: Data;
    /// What a partition comes to in one round.
    type Summary: Serialize + DeserializeOwned + Send;
    /// What it has learned, as a checkpoint has it. Settings are no part of it: they are in the program, and
    /// may be edited between two runs.
    type State: Serialize + DeserializeOwned + 'static;

    /// Looks at one partition.
    fn summarize(&self, part: Part<'_, Self::Example>) -> Result<Self::Summary, ModelError>;

    /// Learns from the summaries of all partitions; of an empty batch there may be none. `round` counts from
    /// 0.
    fn update(&mut self, round: u32, parts: Vec<Self::Summary>) -> Result<Next, ModelError>;

    /// Answers for one record.
    fn predict(&self, features: &Self::Features) -> Result<Self::Prediction, ModelError>;

    /// What it has learned.
    fn state(&self) -> Self::State;

    /// Takes over what an earlier run has learned. `Err` says what does not fit the settings.
    fn restore(&mut self, state: Self::State) -> Result<(), ModelError>;

    /// Learns from a batch that is at hand, as one partition: what `train_on` does, without a stream. If it
    /// fails, the model is as it was.
    fn learn(&mut self, examples: &[Self::Example]) -> Result<(), ModelError> {
        let mut next = self.clone();
        let mut round = 0;
        loop {
            let summary = next.summarize(Part { round, partition: 0, examples })?;
            match next.update(round, vec![summary])? {
                Next::Round => round += 1,
                Next::Done => break,
            }
        }
        *self = next;
        Ok(())
    }
}

/// One partition of the examples of a batch, in one round.
#[derive(Debug)]
pub struct Part<'a, T> {
    /// The number of the round, from 0.
    pub round: u32,
    /// The number of the partition in its process, from 0.
    pub partition: usize,
    /// The examples.
    pub examples: &'a [T],
}

/// Whether a model has learned a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It must see the examples once more.
    Round,
    /// It has.
    Done,
}

/// Why a model can't learn from a batch, answer for a record, or take over what is in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError(String);

impl ModelError {
    /// `message` says what was found, what was expected and what to do.
    pub fn new(message: impl Into<String>) -> ModelError {
        ModelError(message.into())
    }
}

impl From<String> for ModelError {
    fn from(message: String) -> ModelError {
        ModelError(message)
    }
}

impl From<&str> for ModelError {
    fn from(message: &str) -> ModelError {
        ModelError(message.to_owned())
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ModelError {}
