//! K-means over a stream: centers move as points arrive, and forget.

use dstream_core::{
    Record,
    model::{Model, ModelError, ModelHandle, Next, Part},
};
use serde::{Deserialize, Serialize};

use crate::{
    json,
    random::XorShift,
    vector::{add_scaled, check, norm, squared_distance},
};

/// What the decay factor is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// What was known counts `decay` times as much after each batch.
    Batches,
    /// What was known counts `decay` times as much after each point.
    Points,
}

/// Spark's `StreamingKMeans`: how centers of clusters follow a stream of points.
///
/// A batch moves each center to the mean of what it was, weighed by the points that it had, and of its points
/// of the batch. The older weight is multiplied by the [decay factor](StreamingKMeans::decay_factor) first:
/// 1.0 makes all points count alike from the first batch on, 0.0 only those of the last batch. A cluster that
/// has no weight left beside the heaviest one is *dying*: it is put next to that one, and they share its
/// weight.
///
/// ```
/// use dstream::{ml::StreamingKMeans, prelude::*};
///
/// let model = StreamingKMeans::new(2).decay_factor(0.5).random_centers(1, 0.0, 42).build()?;
/// let out = Collected::new();
/// # let dir = tempfile::tempdir()?;
/// # let checkpoint = dir.path();
/// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
///     let points = queue_stream(vec![vec![vec![0.0], vec![1.0], vec![9.0]], vec![vec![11.0]]]);
///     points.train_on(&model);
///     points.map(|point| (point[0] as u64, point)).predict_on_values(&model).collect_to(&out);
/// })?;
/// ssc.run_batches(2)?;
/// let clusters = &out.values()[0];
/// assert_eq!(clusters[0].1, clusters[1].1);
/// assert_ne!(clusters[0].1, clusters[2].1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StreamingKMeans {
    k: usize,
    decay: f64,
    unit: TimeUnit,
    /// What is wrong with the settings.
    wrong: Option<String>,
    state: Option<KMeansState>,
}

/// What a [`KMeansModel`] has learned: what checkpoints and its JSON have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KMeansState {
    /// The centers.
    pub centers: Vec<Vec<f64>>,
    /// How many points each center stands for; older ones count less.
    pub weights: Vec<f64>,
}

impl StreamingKMeans {
    /// `k` clusters, which forget nothing. They need [centers](StreamingKMeans::initial_centers) to begin
    /// with.
    pub fn new(k: usize) -> StreamingKMeans {
        StreamingKMeans { k, decay: 1.0, unit: TimeUnit::Batches, wrong: None, state: None }
    }

    /// How much of their weight older points keep, a batch or a [point](StreamingKMeans::time_unit); 1.0 by
    /// default.
    #[must_use]
    pub fn decay_factor(mut self, factor: f64) -> StreamingKMeans {
        if !(factor >= 0.0 && factor.is_finite()) {
            self.refuse(format!(
                "the decay factor is {factor}: from 0.0 (forget all) to 1.0 (nothing) is possible"
            ));
        }
        self.decay = factor;
        self
    }

    /// What the decay factor is applied to; batches by default.
    #[must_use]
    pub fn time_unit(mut self, unit: TimeUnit) -> StreamingKMeans {
        self.unit = unit;
        self
    }

    /// Sets the decay factor so that older points count half after so many batches or points.
    #[must_use]
    pub fn half_life(mut self, half_life: f64, unit: TimeUnit) -> StreamingKMeans {
        if !(half_life > 0.0 && half_life.is_finite()) {
            self.refuse(format!("the half-life is {half_life}: it must be more than 0"));
        }
        self.decay = (0.5f64.ln() / half_life).exp();
        self.unit = unit;
        self
    }

    /// Begins with these centers, and so much weight for each.
    #[must_use]
    pub fn initial_centers(mut self, centers: Vec<Vec<f64>>, weights: Vec<f64>) -> StreamingKMeans {
        self.state = Some(KMeansState { centers, weights });
        self
    }

    /// Begins with centers of `dimensions` that are drawn from the normal distribution, and this weight for
    /// each. The same seed gives the same centers, here and in Spark.
    #[must_use]
    pub fn random_centers(mut self, dimensions: usize, weight: f64, seed: u64) -> StreamingKMeans {
        let mut random = XorShift::new(seed);
        let centers = (0..self.k).map(|_| (0..dimensions).map(|_| random.gaussian()).collect()).collect();
        self.state = Some(KMeansState { centers, weights: vec![weight; self.k] });
        self
    }

    /// Begins with what [`KMeansModel::to_json`] has given.
    #[must_use]
    pub fn initial_json(mut self, text: &str) -> StreamingKMeans {
        match json::read(text) {
            Ok(state) => self.state = Some(state),
            Err(error) => self.refuse(error),
        }
        self
    }

    /// The model, for `train_on` and `predict_on`. `Err` says which setting is wrong.
    pub fn build(self) -> Result<ModelHandle<KMeansModel>, ModelError> {
        let StreamingKMeans { k, decay, unit, wrong, state } = self;
        if let Some(wrong) = wrong {
            return Err(wrong.into());
        }
        let Some(state) = state else {
            return Err("no centers to begin with: call `initial_centers`, or `random_centers`".into());
        };
        let mut model = KMeansModel { k, decay, unit, state: KMeansState::empty(), norms: Vec::new() };
        model.restore(state)?;
        Ok(ModelHandle::new(model))
    }

    fn refuse(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }
}

impl KMeansState {
    fn empty() -> KMeansState {
        KMeansState { centers: Vec::new(), weights: Vec::new() }
    }

    fn check(&self, k: usize) -> Result<(), ModelError> {
        let KMeansState { centers, weights } = self;
        if k == 0 {
            return Err("0 clusters asked for: at least 1 is needed".into());
        }
        if centers.len() != k || weights.len() != k {
            return Err(ModelError::new(format!(
                "found {} centers with {} weights, expected {k} of each: `StreamingKMeans::new` says how \
                 many; a model of another number of clusters is let go with `forget`, or under another name",
                centers.len(),
                weights.len()
            )));
        }
        let dimensions = centers[0].len();
        if dimensions == 0 {
            return Err("the centers have no dimensions: at least 1 is needed".into());
        }
        for center in centers {
            check(center, dimensions).map_err(|error| ModelError::new(format!("of the centers, {error}")))?;
        }
        match weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
            Some(weight) => {
                Err(ModelError::new(format!("a center has the weight {weight}: it must be 0.0 or more")))
            }
            None => Ok(()),
        }
    }
}

/// Centers of clusters, and how much each weighs.
#[derive(Debug, Clone)]
pub struct KMeansModel {
    k: usize,
    decay: f64,
    unit: TimeUnit,
    state: KMeansState,
    norms: Vec<f64>,
}

impl KMeansModel {
    /// The centers of the clusters.
    pub fn centers(&self) -> &[Vec<f64>] {
        &self.state.centers
    }

    /// How many points each cluster stands for; older ones count less.
    pub fn weights(&self) -> &[f64] {
        &self.state.weights
    }

    /// What it has learned, as JSON: `{"centers":[[..],..],"weights":[..]}`.
    pub fn to_json(&self) -> String {
        json::write(&self.state)
    }

    fn dimensions(&self) -> usize {
        self.state.centers.first().map_or(0, Vec::len)
    }

    /// The first of the nearest centers.
    fn closest(&self, point: &[f64]) -> usize {
        let (norm, mut best) = (norm(point), (0, f64::INFINITY));
        for (at, (center, center_norm)) in self.state.centers.iter().zip(&self.norms).enumerate() {
            // No distance is smaller than that of the norms.
            if (center_norm - norm).powi(2) < best.1 {
                let distance = squared_distance(center, point);
                if distance < best.1 {
                    best = (at, distance);
                }
            }
        }
        best.0
    }

    /// Takes over the sums of a batch.
    fn move_centers(&mut self, sums: &[(Vec<f64>, u64)]) {
        let KMeansState { centers, weights } = &mut self.state;
        let discount = match self.unit {
            TimeUnit::Batches => self.decay,
            TimeUnit::Points => self.decay.powf(sums.iter().map(|(_, count)| count).sum::<u64>() as f64),
        };
        weights.iter_mut().for_each(|weight| *weight *= discount);
        for ((center, weight), (sum, count)) in centers.iter_mut().zip(weights).zip(sums) {
            if *count > 0 {
                let count = *count as f64;
                *weight += count;
                let part = count / weight.max(1e-16);
                center.iter_mut().for_each(|x| *x *= 1.0 - part);
                add_scaled(center, part / count, sum);
            }
        }
        self.split_largest();
        self.norms = self.state.centers.iter().map(|center| norm(center)).collect();
    }

    /// A cluster that is dying takes half of the largest one.
    fn split_largest(&mut self) {
        let KMeansState { centers, weights } = &mut self.state;
        let (mut largest, mut smallest) = (0, 0);
        for (at, weight) in weights.iter().enumerate() {
            if *weight > weights[largest] {
                largest = at;
            }
            if *weight < weights[smallest] {
                smallest = at;
            }
        }
        if weights[smallest] < 1e-8 * weights[largest] {
            let half = (weights[largest] + weights[smallest]) / 2.0;
            (weights[largest], weights[smallest]) = (half, half);
            let shift = |x: &f64, sign: f64| x + sign * 1e-14 * x.abs().max(1.0);
            let center = centers[largest].clone();
            centers[largest] = center.iter().map(|x| shift(x, 1.0)).collect();
            centers[smallest] = center.iter().map(|x| shift(x, -1.0)).collect();
        }
    }
}

impl Record for KMeansModel {
    type Owned = KMeansModel;

    fn own(self) -> KMeansModel {
        self
    }
}

impl Model for KMeansModel {
    type Example = Vec<f64>;
    type Features = Vec<f64>;
    /// The number of the cluster, from 0.
    type Prediction = usize;
    /// The sum of the points of each cluster, and how many they are; nothing of a cluster without any.
    type Summary = Vec<(Vec<f64>, u64)>;
    type State = KMeansState;

    fn summarize(&self, part: Part<'_, Vec<f64>>) -> Result<Vec<(Vec<f64>, u64)>, ModelError> {
        let mut sums = vec![(Vec::new(), 0); self.k];
        for point in part.examples {
            check(point, self.dimensions())?;
            let (sum, count): &mut (Vec<f64>, u64) = &mut sums[self.closest(point)];
            sum.resize(point.len(), 0.0);
            add_scaled(sum, 1.0, point);
            *count += 1;
        }
        Ok(sums)
    }

    fn update(&mut self, _round: u32, parts: Vec<Vec<(Vec<f64>, u64)>>) -> Result<Next, ModelError> {
        let mut sums = vec![(vec![0.0; self.dimensions()], 0); self.k];
        for part in parts {
            for ((sum, count), (more, n)) in sums.iter_mut().zip(part) {
                add_scaled(sum, 1.0, &more);
                *count += n;
            }
        }
        self.move_centers(&sums);
        if self.state.centers.iter().flatten().chain(&self.state.weights).any(|x| !x.is_finite()) {
            return Err(
                "the sum of the points, or a weight, is too large for a number: scale the points".into()
            );
        }
        Ok(Next::Done)
    }

    fn predict(&self, features: &Vec<f64>) -> Result<usize, ModelError> {
        check(features, self.dimensions())?;
        Ok(self.closest(features))
    }

    fn state(&self) -> KMeansState {
        self.state.clone()
    }

    fn restore(&mut self, state: KMeansState) -> Result<(), ModelError> {
        state.check(self.k)?;
        let before = self.dimensions();
        if before != 0 && state.centers[0].len() != before {
            return Err(ModelError::new(format!(
                "found centers of {} dimensions, expected {before}: make the model for the former, or let \
                 the former go with `forget`",
                state.centers[0].len()
            )));
        }
        self.norms = state.centers.iter().map(|center| norm(center)).collect();
        self.state = state;
        Ok(())
    }
}
