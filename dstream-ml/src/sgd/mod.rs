//! Linear models by mini-batch stochastic gradient descent, as Spark's `GradientDescent` has it.

use std::{fmt, marker::PhantomData};

use dstream_core::{
    Record,
    model::{Model, ModelError, Next, Part},
};
use serde::{Deserialize, Serialize};

use crate::{
    LabeledPoint, json,
    random::Sampler,
    vector::{add_scaled, check, dot, norm},
};

/// The methods that both algorithms have.
macro_rules! settings {
    ($algorithm:ident, $model:ident) => {
        impl $algorithm {
            /// As Spark begins: steps of 0.1, 50 iterations, whole batches, a tolerance of 0.001. It needs
            /// [weights](Self::initial_weights) to begin with.
            pub fn new() -> Self {
                $algorithm(Settings::new())
            }

            /// The length of the first step of a batch; step `i` has this, divided by the square root of `i`.
            #[must_use]
            pub fn step_size(mut self, size: f64) -> Self {
                self.0.step_size = size;
                self
            }

            /// How many steps a batch takes at most.
            #[must_use]
            pub fn iterations(mut self, count: u32) -> Self {
                self.0.iterations = count;
                self
            }

            /// Which part of a batch, up to 1.0, each step looks at: other points each time.
            #[must_use]
            pub fn mini_batch_fraction(mut self, fraction: f64) -> Self {
                self.0.fraction = fraction;
                self
            }

            /// A batch ends before its last step when a step has moved the weights by less than this, in
            /// proportion to their length, or to 1.0 if they are shorter. 0.0 takes all steps.
            #[must_use]
            pub fn convergence_tol(mut self, tolerance: f64) -> Self {
                self.0.tolerance = tolerance;
                self
            }

            /// Begins with these weights: one for each dimension.
            #[must_use]
            pub fn initial_weights(mut self, weights: Vec<f64>) -> Self {
                self.0.set_weights(weights);
                self
            }

            /// Begins with what `to_json` of a model has given.
            #[must_use]
            pub fn initial_json(mut self, text: &str) -> Self {
                self.0.set_json(text);
                self
            }

            /// The model, for `train_on` and `predict_on`. `Err` says which setting is wrong.
            pub fn build(self) -> Result<ModelHandle<$model>, ModelError> {
                self.0.model().map(ModelHandle::new)
            }
        }

        impl Default for $algorithm {
            fn default() -> Self {
                $algorithm::new()
            }
        }
    };
}
use settings;

mod linear;
mod logistic;

pub use linear::{LinearRegressionModel, StreamingLinearRegressionWithSGD};
pub use logistic::{LogisticRegressionModel, StreamingLogisticRegressionWithSGD};

/// What tells linear models apart.
pub(crate) trait Loss: Clone + fmt::Debug + Send + Sync + 'static {
    /// The gradient of the loss by `weights . features`.
    fn slope(score: f64, label: f64) -> f64;
    /// What is said of a point.
    fn predict(score: f64) -> f64;
    /// Refuses labels that there can't be.
    fn check(label: f64) -> Result<(), ModelError>;
}

/// The settings of an algorithm.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) step_size: f64,
    pub(crate) iterations: u32,
    pub(crate) fraction: f64,
    pub(crate) regularization: f64,
    pub(crate) tolerance: f64,
    wrong: Option<String>,
    weights: Option<Vec<f64>>,
}

impl Settings {
    /// Those of Spark.
    pub(crate) fn new() -> Settings {
        Settings {
            step_size: 0.1,
            iterations: 50,
            fraction: 1.0,
            regularization: 0.0,
            tolerance: 0.001,
            wrong: None,
            weights: None,
        }
    }

    pub(crate) fn set_weights(&mut self, weights: Vec<f64>) {
        self.weights = Some(weights);
    }

    pub(crate) fn set_json(&mut self, text: &str) {
        match json::read::<LinearState>(text) {
            Ok(state) => self.weights = Some(state.weights),
            Err(error) => self.wrong = Some(error),
        }
    }

    pub(crate) fn model<L: Loss>(mut self) -> Result<SgdModel<L>, ModelError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let Settings { step_size, fraction, regularization, tolerance, .. } = self;
        let finite = |x: f64| x.is_finite() && x >= 0.0;
        let wrong = [
            (!finite(step_size) || step_size == 0.0, "step size", step_size, "more than 0.0"),
            (
                !(fraction > 0.0 && fraction <= 1.0),
                "mini-batch fraction",
                fraction,
                "more than 0.0, up to 1.0",
            ),
            (!finite(regularization), "regularisation", regularization, "0.0 or more"),
            (!(0.0..=1.0).contains(&tolerance), "convergence tolerance", tolerance, "from 0.0 to 1.0"),
        ];
        if let Some((_, what, found, possible)) = wrong.into_iter().find(|(wrong, ..)| *wrong) {
            return Err(ModelError::new(format!("the {what} is {found}: {possible} is possible")));
        }
        let Some(weights) = self.weights.take() else {
            return Err(
                "no weights to begin with: call `initial_weights`, with one for each dimension".into()
            );
        };
        let mut model = SgdModel { settings: self, weights: Vec::new(), previous: None, loss: PhantomData };
        model.restore(LinearState { weights })?;
        Ok(model)
    }
}

/// What a linear model has learned: what checkpoints and its JSON have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearState {
    /// One for each dimension.
    pub weights: Vec<f64>,
}

/// A model of weights, which [`StreamingLinearRegressionWithSGD`] and [`StreamingLogisticRegressionWithSGD`]
/// make.
#[derive(Debug, Clone)]
pub struct SgdModel<L> {
    settings: Settings,
    weights: Vec<f64>,
    /// Those before the last step of a batch that is being learned.
    previous: Option<Vec<f64>>,
    loss: PhantomData<L>,
}

impl<L> SgdModel<L> {
    /// The weights, one for each dimension.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What it has learned, as JSON: `{"weights":[..]}`.
    pub fn to_json(&self) -> String {
        json::write(&LinearState { weights: self.weights.clone() })
    }

    /// One step against the gradient, the mean of those of the mini-batch. Returns whether the weights have
    /// converged.
    fn descend(&mut self, iteration: u32, gradient: &[f64], points: u64) -> bool {
        let Settings { step_size, regularization, tolerance, .. } = self.settings;
        let step = step_size / f64::from(iteration).sqrt();
        let before = self.weights.clone();
        self.weights.iter_mut().for_each(|weight| *weight *= 1.0 - step * regularization);
        self.weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= step * (g / points as f64));
        // The first step of a batch has none to be compared with.
        let compared = self.previous.replace(before).is_some();
        let difference: Vec<f64> =
            self.previous.iter().flatten().zip(&self.weights).map(|(a, b)| a - b).collect();
        compared && norm(&difference) < tolerance * norm(&self.weights).max(1.0)
    }
}

/// What a partition comes to: the sum of the gradients of its mini-batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gradient {
    sum: Vec<f64>,
    /// Of the mini-batch.
    points: u64,
    /// Of the partition.
    all: u64,
}

impl<L: Loss> Record for SgdModel<L> {
    type Owned = SgdModel<L>;

    fn own(self) -> SgdModel<L> {
        self
    }
}

impl<L: Loss> Model for SgdModel<L> {
    type Example = LabeledPoint;
    type Features = Vec<f64>;
    type Prediction = f64;
    type Summary = Gradient;
    type State = LinearState;

    fn summarize(&self, part: Part<'_, LabeledPoint>) -> Result<Gradient, ModelError> {
        // The numbers of Spark: a batch gives the same mini-batches here and there.
        let seed = 42 + u64::from(part.round) + 1;
        let mut sampler = Sampler::new(self.settings.fraction, seed, part.partition);
        let mut gradient =
            Gradient { sum: vec![0.0; self.weights.len()], points: 0, all: part.examples.len() as u64 };
        for LabeledPoint { label, features } in part.examples {
            if part.round == 0 {
                L::check(*label)?;
                check(features, self.weights.len())?;
            }
            if sampler.keeps() {
                add_scaled(&mut gradient.sum, L::slope(dot(&self.weights, features), *label), features);
                gradient.points += 1;
            }
        }
        Ok(gradient)
    }

    fn update(&mut self, round: u32, parts: Vec<Gradient>) -> Result<Next, ModelError> {
        let mut sum = vec![0.0; self.weights.len()];
        let (mut points, mut all) = (0, 0);
        for part in &parts {
            add_scaled(&mut sum, 1.0, &part.sum);
            points += part.points;
            all += part.all;
        }
        if round >= self.settings.iterations || all == 0 {
            self.previous = None;
            return Ok(Next::Done);
        }
        let converged = points > 0 && self.descend(round + 1, &sum, points);
        if self.weights.iter().any(|weight| !weight.is_finite()) {
            return Err(ModelError::new(format!(
                "the weights have grown beyond all numbers in step {} of the batch: a smaller `step_size` \
                 than {}, or points that are scaled, would do",
                round + 1,
                self.settings.step_size
            )));
        }
        if converged || round + 1 == self.settings.iterations {
            self.previous = None;
            return Ok(Next::Done);
        }
        Ok(Next::Round)
    }

    fn predict(&self, features: &Vec<f64>) -> Result<f64, ModelError> {
        check(features, self.weights.len())?;
        Ok(L::predict(dot(&self.weights, features)))
    }

    fn state(&self) -> LinearState {
        LinearState { weights: self.weights.clone() }
    }

    fn restore(&mut self, state: LinearState) -> Result<(), ModelError> {
        let LinearState { weights } = state;
        let dimensions = if self.weights.is_empty() { weights.len() } else { self.weights.len() };
        if weights.is_empty() {
            return Err("the weights are none: one for each dimension is needed".into());
        }
        check(&weights, dimensions).map_err(|error| ModelError::new(format!("as the weights, {error}")))?;
        self.weights = weights;
        Ok(())
    }
}
