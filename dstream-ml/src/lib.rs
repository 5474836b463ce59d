//! Learning while a stream runs, for [dstream](https://docs.rs/dstream), where it is `dstream::ml` (feature
//! `ml`).
//!
//! * Models as Spark's streaming `mllib` defines them: [`StreamingKMeans`],
//!   [`StreamingLinearRegressionWithSGD`], [`StreamingLogisticRegressionWithSGD`]. On the same batches they
//!   come to the same centers, weights and predictions.
//!
//! * More that learns: [`StandardScaler`], [`StreamingNaiveBayes`], and [`HoltWinters`], which says how
//!   unusual a value of a series is.
//! * Sketches, which go into any reduction, window or state: [`HyperLogLog`] counts different values,
//!   [`HeavyHitters`] finds frequent ones, [`Quantiles`] has medians and the like.
//!
//! Models are trained by the operator [`train_on`](dstream_core::DStream::train_on) and asked by
//! [`predict_on`](dstream_core::DStream::predict_on) and
//! [`predict_on_values`](dstream_core::DStream::predict_on_values). What they have learned is in the
//! checkpoint, and read with [`ModelHandle::latest`]. A model of your own implements [`Model`].
//!
//! ```
//! use dstream::{ml::StreamingKMeans, prelude::*};
//!
//! let model = StreamingKMeans::new(2).decay_factor(0.9).random_centers(2, 0.0, 42).build()?;
//! # let dir = tempfile::tempdir()?;
//! # let checkpoint = dir.path();
//! let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
//!     let points = queue_stream(vec![vec![vec![0.0, 1.0], vec![8.0, 9.0]]]);
//!     points.train_on(&model);
//!     points.predict_on(&model).count_by_value().print();
//! })?;
//! ssc.run_batches(1)?;
//! println!("{}", model.latest().to_json());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bayes;
mod holt_winters;
mod json;
mod kmeans;
mod random;
mod scaler;
mod sgd;
mod sketch;
mod vector;

pub use bayes::{Class, NaiveBayesModel, StreamingNaiveBayes};
pub use dstream_core::model::{Model, ModelError, ModelHandle};
pub use holt_winters::HoltWinters;
pub use kmeans::{KMeansModel, KMeansState, StreamingKMeans, TimeUnit};
pub use scaler::{Moments, ScalerModel, StandardScaler};
pub use sgd::{
    LinearRegressionModel, LinearState, LogisticRegressionModel, SgdModel, StreamingLinearRegressionWithSGD,
    StreamingLogisticRegressionWithSGD,
};
pub use sketch::{HeavyHitters, HyperLogLog, Quantiles};
pub use vector::{LabeledPoint, ParseError, parse_vector};
