//! One run of a pipeline over one batch: its stages, failures and outputs.

mod exchange;
mod watch;

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
};

use crate::{
    Config, Error, JobError, Time,
    async_runtime::AsyncRuntime,
    block::Block,
    clock::{CancellationToken, Clock},
    events::{Bus, OutputCompleted},
    exec::run,
    logs::Span,
    panics::{Caught, catch},
    plan::{OpMeta, StageMeta},
    sync::Unpoisoned,
};

use exchange::Exchanges;
pub(crate) use watch::OutputWatch;
pub(crate) use watch::StageInput;
use watch::StageWatch;

/// The result of a step of a batch: a value, or why there is none.
///
/// A failed stage fails the outputs that need it and no others.
pub type Step<T> = std::result::Result<T, Missing>;

/// Why a step has no value in this batch. What needs the step has none either, for the same reason.
#[derive(Debug, Clone)]
pub enum Missing {
    /// The stream has a slide of several batches, and this is none of its times.
    NotDue,
    /// Something failed.
    Failed(Box<JobError>),
}

/// The part of the context that an output uses.
pub(crate) struct OutputScope {
    pub(crate) application: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// Cancelled when no batch is waited for any more.
    pub(crate) abandoned: CancellationToken,
    /// Whether batches are run by the clock; else somebody steps them.
    pub(crate) started: bool,
    /// Where async outputs run.
    pub(crate) runtime: Arc<AsyncRuntime>,
}

/// The outputs of a batch that have run, so that a batch that runs again does not repeat them.
pub(crate) trait OutputProgress: Sync {
    fn is_done(&self, time: Time, output: &str) -> bool;
    fn done(&self, time: Time, output: &str);
    /// Whether outputs of the batch may have run in an earlier process.
    fn may_be_written(&self, time: Time) -> bool;
    /// The oldest batch that a restart may run again, if there is a checkpoint.
    fn rerun_from(&self) -> Option<Time>;
    /// Whether one checkpoint has the state of several processes.
    fn is_shared(&self) -> bool;
    /// What outputs need of the context.
    fn scope(&self) -> OutputScope;
}

/// A batch that runs through the pipelines of a context.
pub struct Batch<'a> {
    time: Time,
    zero: Time,
    seed: u64,
    config: &'a Config,
    log: &'a dyn OutputProgress,
    failures: Vec<JobError>,
    /// The pipeline that runs.
    pipeline: usize,
    /// The outputs that have run, if anybody listens.
    run: Vec<OutputCompleted>,
    /// What stages have read, if anybody listens.
    read: Mutex<Vec<StageInput>>,
    /// A failure that an operator will remember although no output may have met it in this batch.
    lost: Mutex<Option<JobError>>,
    pub(crate) exchanges: Exchanges,
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("time", &self.time).finish_non_exhaustive()
    }
}

/// Bytes below which neighbouring blocks share one task: starting a task costs more than so little work.
const SMALL_TASK: usize = 128 << 10;
/// Bytes above which a task takes no further block, so that a slow partition does not hold the batch.
const LARGE_TASK: usize = 4 << 20;

impl<'a> Batch<'a> {
    pub(crate) fn new(
        time: Time,
        zero: Time,
        seed: u64,
        config: &'a Config,
        log: &'a dyn OutputProgress,
    ) -> Batch<'a> {
        Batch {
            time,
            zero,
            seed,
            config,
            log,
            failures: Vec::new(),
            pipeline: 0,
            run: Vec::new(),
            read: Mutex::default(),
            lost: Mutex::new(None),
            exchanges: Exchanges::default(),
        }
    }

    /// The pipeline with this number runs from now on.
    pub(crate) fn begin_pipeline(&mut self, id: usize) {
        self.pipeline = id;
    }

    /// Takes what is known of the outputs that have run and of what stages have read, if anybody listens.
    pub(crate) fn watched(&mut self) -> (Vec<OutputCompleted>, Vec<StageInput>) {
        let read = self.read.get_mut().unpoisoned();
        (std::mem::take(&mut self.run), std::mem::take(read))
    }

    /// The listeners.
    pub(crate) fn events(&self) -> &Bus {
        &self.config.events
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        self.config.clock.now()
    }

    /// The failures of the batch, in the order of the outputs; empty if all went well.
    pub(crate) fn finish(self) -> Vec<JobError> {
        let mut failures = self.failures;
        if failures.is_empty() {
            failures.extend(self.lost.into_inner().unpoisoned());
            failures.iter().for_each(|failure| self.config.reports.failed(failure));
        }
        failures
    }

    /// Says that the batch is lost to an operator that keeps something. The outputs may not be due, and meet
    /// the failure batches later; but this is the batch that has failed, and that a restart must run again.
    pub(crate) fn lose(&self, failure: &JobError) {
        self.lost.lock().unpoisoned().get_or_insert_with(|| failure.clone());
    }

    /// The time of the batch.
    pub fn time(&self) -> Time {
        self.time
    }

    /// The zero time: one interval before the first batch there ever was. Windows align to it.
    pub fn zero_time(&self) -> Time {
        self.zero
    }

    /// The seed of the hash that places keys.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn config(&self) -> &Config {
        self.config
    }

    /// The seed of what is left to chance in this batch: the same when the batch is run again.
    pub fn sample_seed(&self) -> u64 {
        let process = self.others().map_or(0, |exchange| exchange.process() as u64);
        self.seed ^ self.time.as_millis() ^ process << 48
    }

    /// Runs `body` over the blocks, a task for each group of neighbouring blocks, with the number of the
    /// task; the results are in the order of the blocks.
    ///
    /// Groups depend on the sizes of the blocks alone, so a batch that is run again has the same partitions.
    /// A block that can't be opened is reported and left out, unless its error says that it must not be: one
    /// of the log of receivers, since it was acknowledged, and one that is `Unreadable`. These fail the
    /// batch.
    pub fn stage<B: Block, O: Send>(
        &self,
        stage: &StageMeta,
        input: Step<Vec<B>>,
        body: impl Fn(usize, &mut [B]) -> O + Sync,
    ) -> Step<Vec<O>> {
        let (events, blocks) = (&self.config.events, input?);
        let span = Span::stage(self.pipeline, stage, blocks.len());
        let watch = StageWatch::start(events, blocks.len());
        let tasks: Vec<_> = group(blocks).into_iter().enumerate().collect();
        let count = tasks.len();
        let done = run(tasks, false, |(task, blocks): (usize, Vec<B>)| {
            let _busy = watch.as_ref().map(StageWatch::task);
            catch(|| self.task(task, blocks, watch.as_ref(), &body)).flatten()
        });
        let done = done.into_iter().collect::<std::result::Result<Vec<Vec<O>>, Caught>>();
        let done = done.map_err(|caught| Box::new(self.locate(&stage.ops(), caught)));
        if let Err(error) = &done {
            span.failed(error);
        }
        if let Some(watch) = watch {
            let error = done.as_ref().err().map(|error| &**error);
            let read = watch.done(events, self.time, (self.pipeline, stage), count, error);
            self.read.lock().unpoisoned().extend(read);
        }
        done.map(|tasks| tasks.into_iter().flatten().collect()).map_err(Missing::Failed)
    }

    /// One task of a stage: opens its blocks and runs `body` over them. As soon as more is held than belongs
    /// into a task, or a block has its records in pieces, `body` runs over what is there, and what that takes
    /// goes.
    fn task<B: Block, O>(
        &self,
        task: usize,
        blocks: Vec<B>,
        watch: Option<&StageWatch>,
        body: &impl Fn(usize, &mut [B]) -> O,
    ) -> std::result::Result<Vec<O>, Caught> {
        let mut results: Vec<O> = Vec::with_capacity(1);
        // Far from the numbers of other tasks.
        let mut run = |blocks: &mut [B]| {
            let number = task.wrapping_add(results.len() << 20);
            if let Some(watch) = watch {
                watch.opened(blocks.iter().map(Block::record_count).sum());
            }
            results.push(body(number, blocks));
        };
        let mut open = Vec::with_capacity(blocks.len());
        let mut held = 0;
        let mut ran = false;
        for mut block in blocks {
            match block.open() {
                Ok(()) => {}
                Err(error @ (Error::Checkpoint(_) | Error::Unreadable { .. })) => {
                    return Err(Caught::from(error));
                }
                Err(error) => {
                    self.config.reports.report(error);
                    continue;
                }
            }
            held += block.weight();
            let in_pieces = block.has_more();
            open.push(block);
            if in_pieces || held > LARGE_TASK {
                run(&mut open);
                ran = true;
                while let Some(last) = open.last_mut().filter(|last| last.has_more()) {
                    last.advance().map_err(Caught::from)?;
                    run(std::slice::from_mut(last));
                }
                open.clear();
                held = 0;
            }
        }
        if !open.is_empty() || !ran {
            run(&mut open);
        }
        Ok(results)
    }

    /// Runs `step`, which may call the user's code, on the driver's thread.
    pub fn guard<T>(&self, ops: &[OpMeta], step: impl FnOnce() -> T) -> Step<T> {
        catch(step).map_err(|caught| Missing::Failed(Box::new(self.locate(ops, caught))))
    }

    /// Whether the output has run in this batch, before a restart.
    pub(crate) fn is_output_done(&self, output: &str) -> bool {
        self.log.is_done(self.time, output)
    }

    /// The output has run in this batch.
    pub(crate) fn output_done(&self, output: &str) {
        self.log.done(self.time, output);
    }

    /// Listeners will be told of this output when the batch is done.
    pub(crate) fn output_watched(&mut self, completed: OutputCompleted) {
        self.run.push(completed);
    }

    pub(crate) fn output_scope(&self) -> OutputScope {
        self.log.scope()
    }

    pub(crate) fn may_be_written(&self) -> bool {
        self.log.may_be_written(self.time)
    }

    /// Whether the checkpoint has the state of other processes, too.
    pub(crate) fn shares_checkpoint(&self) -> bool {
        self.log.is_shared()
    }

    pub(crate) fn rerun_from(&self) -> Time {
        self.log.rerun_from().unwrap_or(self.time).min(self.time)
    }

    pub(crate) fn default_partitions(&self) -> usize {
        self.config.partitions
    }

    pub(crate) fn fail(&mut self, missing: Missing) {
        match missing {
            Missing::Failed(failure) => {
                self.config.reports.failed(&failure);
                self.failures.push(*failure);
            }
            // It would not be due in a second run either.
            Missing::NotDue => {}
        }
    }

    /// A failure of the operator in this batch.
    pub(crate) fn failed(&self, op: &OpMeta, message: String) -> Missing {
        Missing::Failed(Box::new(self.failure(op, message)))
    }

    /// A failure of the operator in this batch, with the error that it came from.
    pub(crate) fn failed_by(&self, op: &OpMeta, error: Error) -> Missing {
        self.failed_from(op, error.to_string(), cause(error))
    }

    /// A failure with a message of its own, and the error that it came from.
    pub(crate) fn failed_from(
        &self,
        op: &OpMeta,
        message: String,
        cause: Arc<dyn StdError + Send + Sync>,
    ) -> Missing {
        Missing::Failed(Box::new(JobError { cause: Some(cause), ..self.failure(op, message) }))
    }

    fn failure(&self, op: &OpMeta, message: String) -> JobError {
        let operator = op.name.to_owned();
        JobError { time: self.time, operator, file: op.file, line: op.line, message, cause: None }
    }

    /// An error that the closure of an operator has returned.
    pub(crate) fn refused(&self, op: &OpMeta, error: Box<dyn StdError + Send + Sync>) -> Missing {
        let failure = self.failure(op, error.to_string());
        Missing::Failed(Box::new(JobError { cause: Some(error.into()), ..failure }))
    }

    /// Finds the operator that a panic came from: the innermost call whose text holds the place.
    fn locate(&self, ops: &[OpMeta], caught: Caught) -> JobError {
        let Caught { message, place, cause } = caught;
        let here = place.as_ref().and_then(|(file, line, column)| {
            ops.iter().filter(|op| op.holds(file, *line, *column)).max_by_key(|op| (op.line, op.column))
        });
        if let Some(op) = here {
            return JobError { cause, ..self.failure(op, message) };
        }
        let message = match place {
            Some((file, line, _)) => format!("{message} (at {file}:{line})"),
            None => message,
        };
        JobError {
            time: self.time,
            operator: ops.iter().map(|op| op.name).collect::<Vec<_>>().join(", "),
            file: ops.first().map_or("", |op| op.file),
            line: ops.first().map_or(0, |op| op.line),
            message,
            cause,
        }
    }
}

/// Puts neighbouring blocks together until a task is worth starting.
fn group<B: Block>(blocks: Vec<B>) -> Vec<Vec<B>> {
    let total: usize = blocks.iter().map(Block::weight).sum();
    let enough = (total / 16).clamp(SMALL_TASK, LARGE_TASK);
    let mut groups = Vec::new();
    let mut open = Vec::new();
    let mut weight = 0;
    for block in blocks {
        let w = block.weight();
        if !open.is_empty() && weight + w > enough {
            groups.push(std::mem::take(&mut open));
            weight = 0;
        }
        weight += w;
        open.push(block);
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

impl From<Error> for Caught {
    fn from(error: Error) -> Caught {
        Caught { message: error.to_string(), place: None, cause: Some(cause(error)) }
    }
}

/// What a failure came from: the user's own error with its own type.
fn cause(error: Error) -> Arc<dyn StdError + Send + Sync> {
    match error {
        Error::Output(error) => error,
        error => Arc::new(error),
    }
}

/// One per-batch function with all that it needs to be run and reported.
pub(crate) struct Pipeline {
    pub(crate) run: Box<dyn FnMut(&mut Batch<'_>) + Send>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

impl From<Box<JobError>> for Error {
    fn from(error: Box<JobError>) -> Error {
        Error::Job(*error)
    }
}

/// For tests of one operator: no output has run.
#[cfg(test)]
pub(crate) struct NoProgress;

#[cfg(test)]
impl OutputProgress for NoProgress {
    fn is_done(&self, _: Time, _: &str) -> bool {
        false
    }

    fn done(&self, _: Time, _: &str) {}

    fn may_be_written(&self, _: Time) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn rerun_from(&self) -> Option<Time> {
        None
    }

    fn scope(&self) -> OutputScope {
        OutputScope {
            application: String::new(),
            clock: std::sync::Arc::new(crate::clock::SystemClock),
            abandoned: crate::clock::CancellationToken::new(),
            started: false,
            runtime: Default::default(),
        }
    }
}
