//! Turns events into metrics.

use std::collections::BTreeSet;

use dstream_core::{
    Time,
    events::{BatchCompleted, ContextView, Event, OutputCompleted, StageCompleted},
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::names::{self, Kind};

/// Says what the metrics are, and has those that no label tells apart from the start: an alert sees a counter
/// grow only if it has seen it before.
pub(crate) fn describe(context: &ContextView) {
    for name in names::ALL {
        match name.kind {
            Kind::Counter => describe_counter!(name.name, name.unit, name.description),
            Kind::Gauge => describe_gauge!(name.name, name.unit, name.description),
            Kind::Histogram => describe_histogram!(name.name, name.unit, name.description),
        }
        match name.kind {
            Kind::Counter if name.labels.is_empty() => counter!(name.name).absolute(0),
            // Not when the last batch was: there was none.
            Kind::Gauge if name.labels.is_empty() && name.name != names::LAST_BATCH => {
                gauge!(name.name).set(0);
            }
            _ => {}
        }
    }
    gauge!(names::BATCH_INTERVAL).set(context.batch_interval().as_secs_f64());
    gauge!(names::RUNNING).set(1);
}

/// What must be remembered from event to event.
#[derive(Default)]
pub(crate) struct Figures {
    waiting: BTreeSet<Time>,
    running: Option<Time>,
}

impl Figures {
    pub(crate) fn record(&mut self, event: &Event) {
        match event {
            Event::ContextStopped(_) => {
                *self = Figures::default();
                self.set_batches();
                gauge!(names::RUNNING).set(0);
            }
            Event::ReceiverStarted(event) => {
                gauge!(names::RECEIVER_ACTIVE, "source" => event.source.clone()).set(1);
                counter!(names::RECEIVER_FAILURES, "source" => event.source.clone()).increment(0);
            }
            Event::ReceiverFailed(event) => {
                gauge!(names::RECEIVER_ACTIVE, "source" => event.source.clone()).set(0);
                counter!(names::RECEIVER_FAILURES, "source" => event.source.clone()).increment(1);
            }
            Event::ReceiverStopped(event) => {
                gauge!(names::RECEIVER_ACTIVE, "source" => event.source.clone()).set(0);
            }
            Event::BatchPlanned(event) => {
                self.waiting.insert(event.batch);
                self.set_batches();
            }
            Event::BatchStarted(event) => {
                self.ended_up_to(event.batch);
                self.running = Some(event.batch);
                self.set_batches();
            }
            Event::StageCompleted(event) => stage(event),
            Event::OutputRetried(event) => {
                counter!(names::OUTPUT_RETRIES, "output" => event.output.clone()).increment(1);
            }
            Event::OutputCompleted(event) => output(event),
            Event::BatchCompleted(event) => {
                self.ended_up_to(event.batch);
                self.running = None;
                self.set_batches();
                batch(event);
            }
            Event::CheckpointWritten(event) => {
                counter!(names::CHECKPOINTS).increment(1);
                counter!(names::CHECKPOINT_BYTES).increment(event.bytes);
                histogram!(names::CHECKPOINT).record(event.elapsed);
            }
            Event::BatchesBehind(event) => gauge!(names::BATCH_BEHIND).set(event.delay.as_secs_f64()),
            Event::BatchesCaughtUp(_) => gauge!(names::BATCH_BEHIND).set(0),
            Event::Reported(_) => counter!(names::REPORTS).increment(1),
            Event::EventsDropped(event) => counter!(names::EVENTS_DROPPED).increment(event.count),
            _ => {}
        }
    }

    /// Batches run in order, so those up to this one don't wait, also where events of them are missing.
    fn ended_up_to(&mut self, batch: Time) {
        while self.waiting.first().is_some_and(|first| *first <= batch) {
            self.waiting.pop_first();
        }
    }

    fn set_batches(&self) {
        gauge!(names::BATCHES_WAITING).set(self.waiting.len() as f64);
        gauge!(names::BATCHES_RUNNING).set(u8::from(self.running.is_some()));
    }
}

fn stage(event: &StageCompleted) {
    let labels = [("pipeline", event.pipeline.to_string()), ("stage", event.stage.to_string())];
    histogram!(names::STAGE, &labels).record(event.elapsed);
    histogram!(names::STAGE_BUSY, &labels).record(event.busy);
    counter!(names::STAGE_TASKS, &labels).increment(event.tasks);
    counter!(names::STAGE_FAILURES, &labels).increment(event.error.is_some().into());
}

fn output(event: &OutputCompleted) {
    let labels = [("output", event.output.clone())];
    histogram!(names::OUTPUT, &labels).record(event.elapsed);
    counter!(names::OUTPUT_RECORDS, &labels).increment(event.records.unwrap_or(0));
    counter!(names::OUTPUT_RETRIES, &labels).increment(0);
    counter!(names::OUTPUT_FAILURES, &labels).increment(event.error.is_some().into());
}

fn batch(event: &BatchCompleted) {
    counter!(names::BATCHES).increment(1);
    counter!(names::BATCHES_FAILED).increment(event.error.is_some().into());
    gauge!(names::LAST_BATCH).set(event.batch.as_millis() as f64 / 1000.0);
    histogram!(names::SCHEDULING_DELAY).record(event.scheduling_delay);
    histogram!(names::PROCESSING).record(event.processing_time);
    histogram!(names::TOTAL_DELAY).record(event.total_delay);
    for input in &event.inputs {
        let labels = [("source", input.source.clone())];
        counter!(names::RECORDS, &labels).increment(input.records.unwrap_or(0));
        counter!(names::INPUT_BYTES, &labels).increment(input.bytes);
        counter!(names::INPUT_BLOCKS, &labels).increment(input.blocks);
        gauge!(names::INPUT_LIMIT, &labels).set(input.limit.map_or(f64::INFINITY, |records| records as f64));
    }
    for kept in &event.kept {
        if let Some(keys) = kept.keys {
            gauge!(names::KEPT_KEYS, "operator" => kept.operator.clone()).set(keys as f64);
        }
        if let Some(bytes) = kept.estimated_bytes {
            gauge!(names::KEPT_BYTES, "operator" => kept.operator.clone()).set(bytes as f64);
        }
        if let Some(oldest) = kept.oldest {
            let seconds = oldest.as_millis() as f64 / 1000.0;
            gauge!(names::KEPT_OLDEST, "operator" => kept.operator.clone()).set(seconds);
        }
    }
}
