//! What listeners are told of batches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::{behind::Standing, lifecycle::Lifecycle};
use crate::{
    Config, Error, Time,
    batch::StageInput,
    clock::{Clock, Stopwatch},
    events::{
        BatchCompleted, BatchPlanned, BatchStarted, BatchesBehind, BatchesCaughtUp, Bus, CheckpointWritten,
        InputInfo, KeptInfo, OutputCompleted,
    },
    plan::OperatorKind,
    sync::Unpoisoned,
};

/// Knows when the batches were planned that wait, if anybody listens.
pub(super) struct Watch {
    events: Bus,
    clock: Arc<dyn Clock>,
    /// The batches that wait, and when they were planned.
    planned: Mutex<VecDeque<(Time, Time)>>,
}

/// A batch that is processed, for its last event.
pub(super) struct Watched {
    batch: Time,
    planned_at: Time,
    started_at: Time,
    inputs: Vec<InputInfo>,
}

impl Watch {
    pub(super) fn new(config: &Config) -> Watch {
        Watch { events: config.events.clone(), clock: Arc::clone(&config.clock), planned: Mutex::default() }
    }

    /// The time of a batch is reached, which has so many intervals.
    pub(super) fn planned(&self, batch: Time, intervals: u64) {
        if !self.events.is_listened() {
            return;
        }
        let at = self.clock.now();
        self.planned.lock().unpoisoned().push_back((batch, at));
        self.events.emit(|| BatchPlanned { batch, at, intervals });
    }

    /// A batch is processed from now on. `inputs` asks the sources, which have planned it.
    pub(super) fn started(&self, batch: Time, inputs: impl FnOnce() -> Vec<InputInfo>) -> Option<Watched> {
        if !self.events.is_listened() {
            return None;
        }
        let started_at = self.clock.now();
        let planned_at = {
            let mut planned = self.planned.lock().unpoisoned();
            let at = planned.iter().find(|(time, _)| *time == batch).map(|(_, at)| *at);
            planned.retain(|(time, _)| *time > batch);
            // One that had begun before a restart, or was planned before anybody listened.
            at.unwrap_or(started_at)
        };
        let inputs = inputs();
        self.events.emit(|| BatchStarted {
            batch,
            at: started_at,
            scheduling_delay: started_at.since(planned_at),
            inputs: inputs.clone(),
        });
        Some(Watched { batch, planned_at, started_at, inputs })
    }

    /// A checkpoint is written, if there was anything to write: for which batch, and how many bytes.
    pub(super) fn written(&self, written: Option<(Time, u64)>, stopwatch: Stopwatch) {
        if let Some((batch, bytes)) = written {
            self.events.emit(|| CheckpointWritten { batch, bytes, elapsed: stopwatch.elapsed() });
        }
    }

    /// Batches have fallen behind the clock, or have caught up with it.
    pub(super) fn standing(&self, standing: Standing, batch: Time, waiting: usize) {
        match standing {
            Standing::Behind { delay, .. } => {
                self.events.emit(|| BatchesBehind { batch, delay, waiting: waiting as u64 });
            }
            Standing::CaughtUp => self.events.emit(|| BatchesCaughtUp { batch }),
        }
    }

    /// A batch is done. `kept` says what was read of the inputs, and what the operators keep now.
    pub(super) fn completed(
        &self,
        watched: Option<Watched>,
        outputs: Vec<OutputCompleted>,
        kept: impl FnOnce(&mut [InputInfo]) -> Vec<KeptInfo>,
        error: Option<&Error>,
    ) {
        let Some(Watched { batch, planned_at, started_at, mut inputs }) = watched else { return };
        let at = self.clock.now();
        let kept = kept(&mut inputs);
        self.events.emit(|| BatchCompleted {
            batch,
            planned_at,
            started_at,
            at,
            scheduling_delay: started_at.since(planned_at),
            processing_time: at.since(started_at),
            total_delay: at.since(planned_at),
            inputs,
            outputs,
            kept,
            error: error.map(Error::to_string),
        });
    }
}

impl Lifecycle {
    /// What each source has planned for a batch.
    pub(super) fn inputs_of(&self, batch: Time) -> Vec<InputInfo> {
        self.inputs.iter().filter_map(|input| input.planned(batch)).collect()
    }

    /// Puts into `inputs` how many records the stages have read of each, and gives what the operators keep.
    pub(super) fn read_and_kept(&self, inputs: &mut [InputInfo], read: Vec<StageInput>) -> Vec<KeptInfo> {
        for StageInput { pipeline, operator, records } in read {
            let operator = self.plans.get(pipeline).and_then(|plan| plan.operators.get(operator));
            let source =
                operator.filter(|op| op.kind == OperatorKind::Source).and_then(|op| op.name.as_ref());
            let is = |input: &&mut InputInfo| Some(&input.source) == source && input.records.is_none();
            if let Some(input) = inputs.iter_mut().find(is) {
                input.records = Some(records);
            }
        }
        let kept = |operator: &super::hoisted::Operator| {
            let mut kept = operator.shared.lock().unpoisoned();
            KeptInfo {
                operator: operator.name.clone(),
                keys: kept.keys(),
                estimated_bytes: kept.estimated_bytes(),
                oldest: kept.oldest(),
            }
        };
        self.operators.iter().map(kept).collect()
    }
}
