//! What is known of a batch.

use std::time::Duration;

use dstream_core::{
    Time,
    events::{
        BatchCompleted, BatchPlanned, BatchStarted, InputInfo, OutputCompleted, OutputRetried, OutputStarted,
        StageCompleted,
    },
};

/// A batch, from its planning on.
#[derive(Debug, Clone)]
pub(crate) struct BatchRecord {
    pub(crate) time: Time,
    pub(crate) status: Status,
    pub(crate) planned_at: Option<Time>,
    pub(crate) started_at: Option<Time>,
    pub(crate) completed_at: Option<Time>,
    pub(crate) scheduling_delay: Option<Duration>,
    pub(crate) processing_time: Option<Duration>,
    pub(crate) total_delay: Option<Duration>,
    pub(crate) inputs: Vec<InputInfo>,
    pub(crate) outputs: Vec<OutputRecord>,
    pub(crate) stages: Vec<StageCompleted>,
    pub(crate) error: Option<String>,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Queued,
    Processing,
    Completed,
}

impl Status {
    /// The word of the original's API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Status::Queued => "QUEUED",
            Status::Processing => "PROCESSING",
            Status::Completed => "COMPLETED",
        }
    }
}

/// An output of a batch.
#[derive(Debug, Clone)]
pub(crate) struct OutputRecord {
    pub(crate) name: String,
    pub(crate) started_at: Option<Time>,
    pub(crate) elapsed: Option<Duration>,
    pub(crate) records: Option<u64>,
    pub(crate) attempts: u32,
    /// Of the last attempt, if it failed.
    pub(crate) error: Option<String>,
}

impl BatchRecord {
    pub(crate) fn new(time: Time) -> BatchRecord {
        BatchRecord {
            time,
            status: Status::Processing,
            planned_at: None,
            started_at: None,
            completed_at: None,
            scheduling_delay: None,
            processing_time: None,
            total_delay: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            stages: Vec::new(),
            error: None,
        }
    }

    pub(crate) fn planned(planned: &BatchPlanned) -> BatchRecord {
        let new = BatchRecord::new(planned.batch);
        BatchRecord { status: Status::Queued, planned_at: Some(planned.at), ..new }
    }

    pub(crate) fn started(&mut self, started: &BatchStarted) {
        self.status = Status::Processing;
        self.started_at = Some(started.at);
        self.scheduling_delay = Some(started.scheduling_delay);
        self.inputs.clone_from(&started.inputs);
    }

    pub(crate) fn completed(&mut self, completed: &BatchCompleted) {
        self.status = Status::Completed;
        self.planned_at = Some(completed.planned_at);
        self.started_at = Some(completed.started_at);
        self.completed_at = Some(completed.at);
        self.scheduling_delay = Some(completed.scheduling_delay);
        self.processing_time = Some(completed.processing_time);
        self.total_delay = Some(completed.total_delay);
        self.inputs.clone_from(&completed.inputs);
        self.error.clone_from(&completed.error);
    }

    /// How many records its sources have had, as far as that is known.
    pub(crate) fn records(&self) -> u64 {
        self.inputs.iter().filter_map(|input| input.records).sum()
    }

    /// How many of them are of this source.
    pub(crate) fn records_of(&self, source: &str) -> u64 {
        self.inputs.iter().filter(|input| input.source == source).filter_map(|input| input.records).sum()
    }

    /// The newest record of an output.
    pub(crate) fn output(&mut self, name: &str) -> &mut OutputRecord {
        let known = self.outputs.iter().rposition(|output| output.name == name);
        let at = known.unwrap_or_else(|| {
            self.outputs.push(OutputRecord::new(name));
            self.outputs.len() - 1
        });
        &mut self.outputs[at]
    }

    /// How many outputs are done, and how many have failed.
    pub(crate) fn outputs_done(&self) -> (usize, usize) {
        let done = || self.outputs.iter().filter(|output| output.elapsed.is_some());
        let failed = done().filter(|output| output.error.is_some()).count();
        (done().count() - failed, failed)
    }
}

impl OutputRecord {
    fn new(name: &str) -> OutputRecord {
        OutputRecord {
            name: name.to_owned(),
            started_at: None,
            elapsed: None,
            records: None,
            attempts: 0,
            error: None,
        }
    }

    pub(crate) fn started(started: &OutputStarted) -> OutputRecord {
        OutputRecord { started_at: Some(started.at), ..OutputRecord::new(&started.output) }
    }

    pub(crate) fn retried(&mut self, retried: &OutputRetried) {
        self.attempts = retried.attempt;
        self.error = Some(retried.error.clone());
    }

    pub(crate) fn completed(&mut self, completed: &OutputCompleted, now: Time) {
        self.started_at.get_or_insert(now);
        self.elapsed = Some(completed.elapsed);
        self.records = completed.records;
        self.attempts = completed.attempts;
        self.error.clone_from(&completed.error);
    }
}
