//! Naive Bayes: which class counts point to.

use std::collections::BTreeMap;

use dstream_core::{
    Record,
    model::{Model, ModelError, ModelHandle, Next, Part},
};
use serde::{Deserialize, Serialize};

use crate::{
    LabeledPoint, json,
    vector::{add_scaled, check, dot},
};

/// Learns classes from counts, such as those of words, over all points there were: Spark's multinomial
/// `NaiveBayes`, which knows one batch only. Any numbers are labels.
///
/// ```
/// use dstream::{ml::{LabeledPoint, StreamingNaiveBayes}, prelude::*};
///
/// let model = StreamingNaiveBayes::new(2).build()?;
/// let out = Collected::new();
/// # let dir = tempfile::tempdir()?;
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let lines = queue_stream(vec![vec!["(0,[3,0])", "(1,[1,2])"]]);
///     let points = lines.filter_map(|line| line.parse::<LabeledPoint>().ok());
///     points.train_on(&model);
///     points.map(|point| point.features).predict_on(&model).collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(out.values(), [[0.0, 1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamingNaiveBayes {
    dimensions: usize,
    lambda: f64,
}

impl StreamingNaiveBayes {
    /// For points of so many dimensions, with a smoothing of 1.0.
    pub fn new(dimensions: usize) -> StreamingNaiveBayes {
        StreamingNaiveBayes { dimensions, lambda: 1.0 }
    }

    /// Counts as if each had been so much larger, so that what was never seen is not impossible.
    #[must_use]
    pub fn lambda(mut self, lambda: f64) -> StreamingNaiveBayes {
        self.lambda = lambda;
        self
    }

    /// The model, for `train_on` and `predict_on`. `Err` says which setting is wrong.
    pub fn build(self) -> Result<ModelHandle<NaiveBayesModel>, ModelError> {
        let StreamingNaiveBayes { dimensions, lambda } = self;
        if dimensions == 0 {
            return Err("points of 0 dimensions: at least 1 is needed".into());
        }
        if !(lambda > 0.0 && lambda.is_finite()) {
            return Err(ModelError::new(format!("the smoothing is {lambda}: more than 0.0 is possible")));
        }
        Ok(ModelHandle::new(NaiveBayesModel { dimensions, lambda, classes: Vec::new() }))
    }
}

/// What was seen of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its label.
    pub label: f64,
    /// How many points.
    pub points: u64,
    /// The sum of their counts, by dimension.
    pub sums: Vec<f64>,
}

/// The classes of a naive Bayes, by label.
#[derive(Debug, Clone)]
pub struct NaiveBayesModel {
    dimensions: usize,
    lambda: f64,
    classes: Vec<Class>,
}

impl NaiveBayesModel {
    /// The classes that were seen, by label.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// What it has learned, as JSON.
    pub fn to_json(&self) -> String {
        json::write(&self.classes)
    }

    /// How likely each class is for these counts: labels, and logarithms up to a common summand.
    pub fn scores(&self, features: &[f64]) -> Vec<(f64, f64)> {
        let points = self.classes.iter().map(|class| class.points).sum::<u64>() as f64;
        let all = (points + self.lambda * self.classes.len() as f64).ln();
        let score = |class: &Class| {
            let of_class = class.sums.iter().sum::<f64>() + self.lambda * self.dimensions as f64;
            let logs: Vec<f64> =
                class.sums.iter().map(|sum| (sum + self.lambda).ln() - of_class.ln()).collect();
            (class.label, (class.points as f64 + self.lambda).ln() - all + dot(&logs, features))
        };
        self.classes.iter().map(score).collect()
    }

    fn check(&self, features: &[f64]) -> Result<(), ModelError> {
        check(features, self.dimensions)?;
        match features.iter().find(|count| **count < 0.0) {
            Some(count) => Err(ModelError::new(format!(
                "a count is {count}, and must be 0.0 or more: naive Bayes is about how often things are there"
            ))),
            None => Ok(()),
        }
    }

    fn add(classes: &mut Vec<Class>, more: Class) {
        match classes.binary_search_by(|class| class.label.total_cmp(&more.label)) {
            Ok(at) => {
                classes[at].points += more.points;
                add_scaled(&mut classes[at].sums, 1.0, &more.sums);
            }
            Err(at) => classes.insert(at, more),
        }
    }
}

impl Record for NaiveBayesModel {
    type Owned = NaiveBayesModel;

    fn own(self) -> NaiveBayesModel {
        self
    }
}

impl Model for NaiveBayesModel {
    type Example = LabeledPoint;
    type Features = Vec<f64>;
    /// The label of the most likely class.
    type Prediction = f64;
    type Summary = Vec<Class>;
    type State = Vec<Class>;

    fn summarize(&self, part: Part<'_, LabeledPoint>) -> Result<Vec<Class>, ModelError> {
        let mut classes: BTreeMap<u64, Class> = BTreeMap::new();
        for LabeledPoint { label, features } in part.examples {
            self.check(features)?;
            if !label.is_finite() {
                return Err(ModelError::new(format!("a label is {label}: `filter` such points out")));
            }
            // -0.0 is 0.0.
            let label = label + 0.0;
            let none = || Class { label, points: 0, sums: vec![0.0; self.dimensions] };
            let class = classes.entry(label.to_bits()).or_insert_with(none);
            class.points += 1;
            add_scaled(&mut class.sums, 1.0, features);
        }
        Ok(classes.into_values().collect())
    }

    fn update(&mut self, _round: u32, parts: Vec<Vec<Class>>) -> Result<Next, ModelError> {
        parts.into_iter().flatten().for_each(|class| NaiveBayesModel::add(&mut self.classes, class));
        match self.classes.iter().flat_map(|class| &class.sums).all(|sum| sum.is_finite()) {
            true => Ok(Next::Done),
            false => Err("the sum of the counts is too large for a number: scale the counts".into()),
        }
    }

    fn predict(&self, features: &Vec<f64>) -> Result<f64, ModelError> {
        self.check(features)?;
        let best = self.scores(features).into_iter().reduce(|a, b| if b.1 > a.1 { b } else { a });
        best.map(|(label, _)| label)
            .ok_or_else(|| "no class is known yet: ask the model behind the statement that trains it".into())
    }

    fn state(&self) -> Vec<Class> {
        self.classes.clone()
    }

    fn restore(&mut self, state: Vec<Class>) -> Result<(), ModelError> {
        self.classes.clear();
        for class in state {
            self.check(&class.sums).map_err(|error| ModelError::new(format!("of a class, {error}")))?;
            NaiveBayesModel::add(&mut self.classes, class);
        }
        Ok(())
    }
}
