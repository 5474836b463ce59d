//! Logistic regression.

use dstream_core::model::{ModelError, ModelHandle};

use super::{Loss, Settings, SgdModel};

/// The weights of a logistic regression.
pub type LogisticRegressionModel = SgdModel<Logistic>;

/// Spark's `StreamingLogisticRegressionWithSGD`: which of two classes, 0.0 or 1.0, a point belongs to.
///
/// Each batch goes on from the weights of the one before, and takes up to [`iterations`] steps against the
/// gradient of the logistic loss. There is no intercept, as in the original: give the points a dimension that
/// is always 1.0. A label that is neither 0.0 nor 1.0 fails the batch.
///
/// [`iterations`]: StreamingLogisticRegressionWithSGD::iterations
///
/// ```
/// use dstream::{ml::{LabeledPoint, StreamingLogisticRegressionWithSGD}, prelude::*};
///
/// let model = StreamingLogisticRegressionWithSGD::new().initial_weights(vec![0.0]).build()?;
/// let out = Collected::new();
/// # let dir = tempfile::tempdir()?;
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let lines = queue_stream(vec![vec!["(0,[-1.0])", "(1,[2.0])"]]);
///     let points = lines.filter_map(|line| line.parse::<LabeledPoint>().ok());
///     points.train_on(&model);
///     points.map(|point| point.features).predict_on(&model).collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(out.values(), [[0.0, 1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamingLogisticRegressionWithSGD(Settings);

/// The loss of a logistic regression.
#[derive(Debug, Clone)]
pub struct Logistic;

fn probability(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

impl Loss for Logistic {
    fn slope(score: f64, label: f64) -> f64 {
        probability(score) - label
    }

    fn predict(score: f64) -> f64 {
        f64::from(probability(score) > 0.5)
    }

    fn check(label: f64) -> Result<(), ModelError> {
        match label == 0.0 || label == 1.0 {
            true => Ok(()),
            false => Err(ModelError::new(format!(
                "a label is {label}, and must be one of two classes, 0.0 or 1.0: `map` the labels, or \
                 `filter` such points out"
            ))),
        }
    }
}

super::settings!(StreamingLogisticRegressionWithSGD, LogisticRegressionModel);

impl StreamingLogisticRegressionWithSGD {
    /// How much large weights are held down (L2 regularisation); 0.0 by default.
    #[must_use]
    pub fn reg_param(mut self, factor: f64) -> Self {
        self.0.regularization = factor;
        self
    }
}

impl LogisticRegressionModel {
    /// The probability that a point belongs to class 1.0; `NaN` if it has another number of dimensions.
    pub fn probability(&self, features: &[f64]) -> f64 {
        match features.len() == self.weights.len() {
            true => probability(crate::vector::dot(&self.weights, features)),
            false => f64::NAN,
        }
    }
}
