//! Points with mean 0 and deviation 1 in each dimension.

use dstream_core::{
    Record,
    model::{Model, ModelError, ModelHandle, Next, Part},
};
use serde::{Deserialize, Serialize};

use crate::{json, vector::check};

/// Learns the mean and the standard deviation of each dimension, over all points there were; `predict_on`
/// gives each point in units of the deviation, from the mean. A dimension that never differs is 0.0.
///
/// Deviations are those of a sample, as in Spark's `StandardScaler`, which knows one batch only.
///
/// ```
/// use dstream::{ml::StandardScaler, prelude::*};
///
/// let scaler = StandardScaler::new(1).build()?;
/// let out = Collected::new();
/// # let dir = tempfile::tempdir()?;
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let points = queue_stream(vec![vec![vec![1.0], vec![3.0]], vec![vec![5.0]]]);
///     points.train_on(&scaler);
///     points.predict_on(&scaler).collect_to(&out);
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(out.values()[1], [[1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StandardScaler {
    dimensions: usize,
}

impl StandardScaler {
    /// For points of so many dimensions.
    pub fn new(dimensions: usize) -> StandardScaler {
        StandardScaler { dimensions }
    }

    /// The model, for `train_on` and `predict_on`.
    pub fn build(self) -> Result<ModelHandle<ScalerModel>, ModelError> {
        match self.dimensions {
            0 => Err("points of 0 dimensions: at least 1 is needed".into()),
            n => Ok(ModelHandle::new(ScalerModel { state: Moments::of_none(n) })),
        }
    }
}

/// What a [`ScalerModel`] has learned: what checkpoints and its JSON have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many points.
    pub count: u64,
    /// The mean of each dimension.
    pub mean: Vec<f64>,
    /// The sum of the squares of the distances from the mean.
    pub squares: Vec<f64>,
}

impl Moments {
    fn of_none(dimensions: usize) -> Moments {
        Moments { count: 0, mean: vec![0.0; dimensions], squares: vec![0.0; dimensions] }
    }

    /// Those of both, by the formula of Chan, which loses nothing where the means are large.
    fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let all = a + b;
        let parts = self.mean.iter_mut().zip(&mut self.squares).zip(other.mean.iter().zip(&other.squares));
        for ((mean, squares), (other_mean, other_squares)) in parts {
            let apart = other_mean - *mean;
            *mean += apart * b / all;
            *squares += other_squares + apart * apart * a * b / all;
        }
        self.count += other.count;
    }
}

/// Means and deviations.
#[derive(Debug, Clone)]
pub struct ScalerModel {
    state: Moments,
}

impl ScalerModel {
    /// The mean of each dimension.
    pub fn mean(&self) -> &[f64] {
        &self.state.mean
    }

    /// The standard deviation of each dimension; 0.0 of fewer than two points.
    pub fn deviation(&self) -> Vec<f64> {
        let of = self.state.count.saturating_sub(1).max(1) as f64;
        self.state.squares.iter().map(|squares| (squares / of).sqrt()).collect()
    }

    /// How many points were learned.
    pub fn count(&self) -> u64 {
        self.state.count
    }

    /// What it has learned, as JSON.
    pub fn to_json(&self) -> String {
        json::write(&self.state)
    }
}

impl Record for ScalerModel {
    type Owned = ScalerModel;

    fn own(self) -> ScalerModel {
        self
    }
}

impl Model for ScalerModel {
    type Example = Vec<f64>;
    type Features = Vec<f64>;
    type Prediction = Vec<f64>;
    type Summary = Moments;
    type State = Moments;

    fn summarize(&self, part: Part<'_, Vec<f64>>) -> Result<Moments, ModelError> {
        let dimensions = self.state.mean.len();
        let mut moments = Moments::of_none(dimensions);
        for point in part.examples {
            check(point, dimensions)?;
            moments.merge(&Moments { count: 1, mean: point.clone(), squares: vec![0.0; dimensions] });
        }
        Ok(moments)
    }

    fn update(&mut self, _round: u32, parts: Vec<Moments>) -> Result<Next, ModelError> {
        parts.iter().for_each(|part| self.state.merge(part));
        match self.state.mean.iter().chain(&self.state.squares).all(|x| x.is_finite()) {
            true => Ok(Next::Done),
            false => {
                Err("the squares of the points are too large for a number: scale the points first".into())
            }
        }
    }

    fn predict(&self, features: &Vec<f64>) -> Result<Vec<f64>, ModelError> {
        check(features, self.state.mean.len())?;
        let scaled = features.iter().zip(&self.state.mean).zip(self.deviation());
        Ok(scaled
            .map(|((x, mean), deviation)| if deviation > 0.0 { (x - mean) / deviation } else { 0.0 })
            .collect())
    }

    fn state(&self) -> Moments {
        self.state.clone()
    }

    fn restore(&mut self, state: Moments) -> Result<(), ModelError> {
        let dimensions = self.state.mean.len();
        for part in [&state.mean, &state.squares] {
            check(part, dimensions).map_err(|error| ModelError::new(format!("as means, {error}")))?;
        }
        self.state = state;
        Ok(())
    }
}
