//! What each stage takes, for the graph of the pipeline.

use std::{collections::HashMap, time::Duration};

use dstream_core::{events::StageCompleted, plan::Plan};

/// How much a new batch weighs in the figures: the last ten or so count.
const WEIGHT: f64 = 0.2;

/// The figures of all stages, as means that fade.
#[derive(Debug)]
pub(crate) struct OperatorFigures {
    /// By pipeline and stage.
    stages: HashMap<(usize, usize), StageFigures>,
}

/// What a stage does in a batch.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct StageFigures {
    /// Records that it reads in a second of the stream.
    pub(crate) records_per_second: f64,
    /// Milliseconds of all its tasks in a batch.
    pub(crate) busy_millis: f64,
    batch: (u64, Duration),
    known: bool,
}

impl OperatorFigures {
    pub(crate) fn of(plan: &Plan) -> OperatorFigures {
        let stages = plan.pipelines.iter().flat_map(|pipeline| {
            pipeline.stages.iter().map(|stage| ((pipeline.id, stage.id), StageFigures::default()))
        });
        OperatorFigures { stages: stages.collect() }
    }

    /// A stage of the running batch is done.
    pub(crate) fn stage(&mut self, stage: &StageCompleted) {
        let figures = self.stages.entry((stage.pipeline, stage.stage)).or_default();
        figures.batch.0 += stage.records.unwrap_or(0);
        figures.batch.1 += stage.busy;
    }

    /// The batch is done.
    pub(crate) fn batch(&mut self, interval: Duration) {
        for figures in self.stages.values_mut() {
            let (records, busy) = std::mem::take(&mut figures.batch);
            let rate = records as f64 / interval.as_secs_f64().max(1e-3);
            let weight = if std::mem::replace(&mut figures.known, true) { WEIGHT } else { 1.0 };
            figures.records_per_second += weight * (rate - figures.records_per_second);
            figures.busy_millis += weight * (busy.as_secs_f64() * 1e3 - figures.busy_millis);
        }
    }

    /// The figures of a stage.
    pub(crate) fn get(&self, pipeline: usize, stage: usize) -> StageFigures {
        self.stages.get(&(pipeline, stage)).copied().unwrap_or_default()
    }

    /// Milliseconds of all stages in a batch.
    pub(crate) fn busy_millis(&self) -> f64 {
        self.stages.values().map(|figures| figures.busy_millis).sum()
    }
}
