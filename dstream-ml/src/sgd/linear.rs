//! Linear regression.

use dstream_core::model::{ModelError, ModelHandle};

use super::{Loss, Settings, SgdModel};

/// The weights of a linear regression.
pub type LinearRegressionModel = SgdModel<Squares>;

/// Spark's `StreamingLinearRegressionWithSGD`: a value as the sum of weighted dimensions.
///
/// Each batch goes on from the weights of the one before, and takes up to [`iterations`] steps against the
/// gradient of the squares. There is no intercept, as in the original: give the points a dimension that is
/// always 1.0.
///
/// [`iterations`]: StreamingLinearRegressionWithSGD::iterations
///
/// ```
/// use dstream::{ml::{LabeledPoint, StreamingLinearRegressionWithSGD}, prelude::*};
///
/// let model = StreamingLinearRegressionWithSGD::new().step_size(0.5).initial_weights(vec![0.0]).build()?;
/// let out = Collected::new();
/// # let dir = tempfile::tempdir()?;
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let lines = queue_stream(vec![vec!["(2.0,[1.0])", "(4.0,[2.0])"]]);
///     let points = lines.filter_map(|line| line.parse::<LabeledPoint>().ok());
///     points.train_on(&model);
///     points.map(|point| (point.label as u64, point.features)).predict_on_values(&model).collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert!((model.latest().weights()[0] - 2.0).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamingLinearRegressionWithSGD(Settings);

/// The loss of a linear regression.
#[derive(Debug, Clone)]
pub struct Squares;

impl Loss for Squares {
    fn slope(score: f64, label: f64) -> f64 {
        score - label
    }

    fn predict(score: f64) -> f64 {
        score
    }

    fn check(label: f64) -> Result<(), ModelError> {
        match label.is_finite() {
            true => Ok(()),
            false => Err(ModelError::new(format!("a label is {label}: `filter` such points out"))),
        }
    }
}

super::settings!(StreamingLinearRegressionWithSGD, LinearRegressionModel);
