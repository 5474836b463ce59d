//! What the page shows: the events of a context, folded into a state of bounded size.

mod batch;
mod chart;
mod operators;
mod source;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub(crate) use batch::{BatchRecord, OutputRecord, Status};
pub(crate) use chart::ChartRecord;
use dstream_core::{
    Time,
    events::{BatchesBehind, CheckpointWritten, ContextView, Event, KeptInfo},
    plan::Plan,
};
pub(crate) use operators::OperatorFigures;
pub(crate) use source::SourceRecord;

/// How many checkpoints and reports are kept.
const RECENT: usize = 100;

/// All that is known of a context.
#[derive(Debug)]
pub(crate) struct Model {
    /// The context itself, to look up keys.
    pub(crate) view: ContextView,
    pub(crate) plan: Plan,
    keep_batches: usize,
    pub(crate) started_at: Option<Time>,
    pub(crate) stopped_at: Option<Time>,
    pub(crate) error: Option<String>,
    /// The time of the newest event that has one.
    pub(crate) now: Time,
    /// The batches that wait, oldest first.
    pub(crate) waiting: VecDeque<BatchRecord>,
    pub(crate) running: Option<BatchRecord>,
    /// The batches that are done, oldest first.
    pub(crate) completed: VecDeque<Arc<BatchRecord>>,
    pub(crate) completed_ever: u64,
    /// Records of all batches that are done. Of those that have begun they are not known yet.
    pub(crate) records: u64,
    pub(crate) sources: Vec<SourceRecord>,
    pub(crate) operators: OperatorFigures,
    /// What operators keep since the last batch.
    pub(crate) kept: Vec<KeptInfo>,
    pub(crate) checkpoints: VecDeque<CheckpointWritten>,
    pub(crate) checkpoint_bytes: u64,
    pub(crate) checkpoints_ever: u64,
    pub(crate) charts: Vec<ChartRecord>,
    pub(crate) reports: VecDeque<(Time, String)>,
    pub(crate) behind: Option<BatchesBehind>,
    pub(crate) dropped_events: u64,
}

impl Model {
    /// Of a context that starts.
    pub(crate) fn new(context: &ContextView, keep_batches: usize) -> Model {
        let plan = context.plan().clone();
        Model {
            view: context.clone(),
            sources: SourceRecord::of(&plan),
            operators: OperatorFigures::of(&plan),
            plan,
            keep_batches,
            started_at: None,
            stopped_at: None,
            error: None,
            now: Time::from_millis(0),
            waiting: VecDeque::new(),
            running: None,
            completed: VecDeque::new(),
            completed_ever: 0,
            records: 0,
            kept: Vec::new(),
            checkpoints: VecDeque::new(),
            checkpoint_bytes: 0,
            checkpoints_ever: 0,
            charts: Vec::new(),
            reports: VecDeque::new(),
            behind: None,
            dropped_events: 0,
        }
    }

    /// Takes an event into account.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::ContextStarted(started) => {
                self.seen(started.at);
                self.started_at = Some(started.at);
            }
            Event::ContextStopped(stopped) => {
                self.seen(stopped.at);
                self.stopped_at = Some(stopped.at);
                self.error.clone_from(&stopped.error);
                self.sources.iter_mut().for_each(|source| source.active = false);
                self.waiting.clear();
            }
            Event::ReceiverStarted(started) => {
                self.seen(started.at);
                SourceRecord::find(&mut self.sources, &started.source).started();
            }
            Event::ReceiverFailed(failed) => {
                self.seen(failed.at);
                SourceRecord::find(&mut self.sources, &failed.source).failed(failed.at, &failed.error);
            }
            Event::ReceiverStopped(stopped) => {
                self.seen(stopped.at);
                SourceRecord::find(&mut self.sources, &stopped.source).active = false;
            }
            Event::BatchPlanned(planned) => {
                self.seen(planned.at);
                self.waiting.push_back(BatchRecord::planned(planned));
                if self.waiting.len() > self.keep_batches {
                    self.waiting.pop_front();
                }
            }
            Event::BatchStarted(started) => {
                self.seen(started.at);
                let waits = self.waiting.iter().position(|batch| batch.time == started.batch);
                let waited = waits.and_then(|at| self.waiting.remove(at));
                let mut batch = waited.unwrap_or_else(|| BatchRecord::new(started.batch));
                batch.started(started);
                self.running = Some(batch);
            }
            Event::StageCompleted(stage) => {
                self.operators.stage(stage);
                self.running(stage.batch).stages.push(stage.clone());
            }
            Event::OutputStarted(started) => {
                self.seen(started.at);
                self.running(started.batch).outputs.push(OutputRecord::started(started));
            }
            Event::OutputRetried(retried) => {
                self.running(retried.batch).output(&retried.output).retried(retried)
            }
            Event::OutputCompleted(completed) => {
                let now = self.now;
                self.running(completed.batch).output(&completed.output).completed(completed, now);
            }
            Event::BatchCompleted(completed) => {
                self.seen(completed.at);
                let mut batch = match self.running.take() {
                    Some(batch) if batch.time == completed.batch => batch,
                    _ => BatchRecord::new(completed.batch),
                };
                batch.completed(completed);
                self.kept.clone_from(&completed.kept);
                self.done(batch);
            }
            Event::CheckpointWritten(written) => {
                self.checkpoint_bytes += written.bytes;
                self.checkpoints_ever += 1;
                push(&mut self.checkpoints, written.clone());
            }
            Event::ChartUpdated(updated) => ChartRecord::update(&mut self.charts, updated),
            Event::BatchesBehind(behind) => self.behind = Some(behind.clone()),
            Event::BatchesCaughtUp(_) => self.behind = None,
            Event::Reported(reported) => push(&mut self.reports, (self.now, reported.error.clone())),
            Event::EventsDropped(dropped) => self.dropped_events += dropped.count,
            _ => {}
        }
    }

    /// The batch that runs, or one that nothing is known of.
    fn running(&mut self, time: Time) -> &mut BatchRecord {
        match &mut self.running {
            Some(batch) if batch.time == time => {}
            other => *other = Some(BatchRecord::new(time)),
        }
        self.running.get_or_insert_with(|| BatchRecord::new(time))
    }

    fn done(&mut self, batch: BatchRecord) {
        self.completed_ever += 1;
        self.records += batch.records();
        self.operators.batch(self.plan.batch_interval);
        self.completed.push_back(Arc::new(batch));
        if self.completed.len() > self.keep_batches {
            self.completed.pop_front();
        }
    }

    fn seen(&mut self, at: Time) {
        self.now = self.now.max(at);
    }

    /// The batch at this time, in whatever state it is.
    pub(crate) fn batch(&self, time: Time) -> Option<&BatchRecord> {
        let done = self.completed.binary_search_by_key(&time, |batch| batch.time).ok();
        done.map(|at| &*self.completed[at]).or_else(|| self.active().find(|batch| batch.time == time))
    }

    /// The batches that are not done, the oldest first.
    pub(crate) fn active(&self) -> impl Iterator<Item = &BatchRecord> {
        self.running.iter().chain(&self.waiting)
    }

    /// The mean of a figure over the batches that are kept; `None` without any.
    pub(crate) fn mean(&self, figure: impl Fn(&BatchRecord) -> f64) -> Option<f64> {
        let sum: f64 = self.completed.iter().map(|batch| figure(batch)).sum();
        (!self.completed.is_empty()).then(|| sum / self.completed.len() as f64)
    }
}

/// Keeps the newest.
fn push<T>(recent: &mut VecDeque<T>, value: T) {
    recent.push_back(value);
    if recent.len() > RECENT {
        recent.pop_front();
    }
}

/// Milliseconds, with fractions.
pub(crate) fn millis(duration: Duration) -> f64 {
    // To the microsecond: more digits are noise.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
