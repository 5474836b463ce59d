//! Runs an output over a batch: attempt after attempt, and what then becomes of the batch.

use std::sync::Arc;

use super::{Inner, OnError, Retry, SinkBatch, SinkContext, SinkError};
use crate::{
    Rdd, Result,
    batch::{Batch, Missing, OutputScope, OutputWatch, Step},
    events::OutputRetried,
    output::Output,
    plan::OpMeta,
};

/// The options of an output, and what it has of its context.
#[derive(Debug)]
pub struct OutputPolicy<T> {
    retry: Option<Retry>,
    on_error: OnError<T>,
    context: Option<SinkContext>,
    skipped: u64,
    /// How many attempts were made for the last batch.
    attempts: u32,
}

impl<T> OutputPolicy<T> {
    /// The options `retry` and `on_error`.
    pub fn new(retry: Option<Retry>, on_error: Option<OnError<T>>) -> OutputPolicy<T> {
        OutputPolicy {
            retry,
            on_error: on_error.unwrap_or(OnError::Fail),
            context: None,
            skipped: 0,
            attempts: 0,
        }
    }

    /// How many attempts were made for the last batch; those of dead letters are not counted.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Runs the output over the batch.
    pub(crate) fn run(
        &mut self,
        batch: &Batch<'_>,
        (name, op): (&str, &OpMeta),
        rdd: &Rdd<T>,
        mut emit: impl FnMut(&Rdd<T>, &SinkBatch) -> Result<(), SinkError>,
    ) -> Step<()> {
        let context = self.context.get_or_insert_with(|| {
            let OutputScope { application, clock, abandoned, started, runtime } = batch.output_scope();
            self.retry.get_or_insert(if started { Retry::new() } else { Retry::never() });
            SinkContext {
                inner: Arc::new(Inner {
                    application,
                    output: name.to_owned(),
                    default_partitions: batch.default_partitions(),
                    clock,
                    stopping: abandoned,
                    runtime,
                }),
            }
        });
        let retry = self.retry.get_or_insert_with(Retry::new);
        let attempts = Attempts { batch, output: name, op, rdd, retry };
        self.attempts = 0;
        let made = &mut self.attempts;
        let counted = |rdd: &Rdd<T>, batch: &SinkBatch| {
            *made = batch.attempt();
            emit(rdd, batch)
        };
        let failure = match attempts.run(context, counted) {
            Ok(()) => return Ok(()),
            Err(GivenUp { missing, stopped: true }) => return Err(missing),
            Err(GivenUp { missing, stopped: false }) => missing,
        };
        let Missing::Failed(error) = &failure else { return Err(failure) };
        match &mut self.on_error {
            OnError::Fail => return Err(failure),
            OnError::Skip => {
                self.skipped += 1;
                if self.skipped.is_power_of_two() {
                    crate::logs::warn!(
                        "`{name}` has skipped a batch, {} so far: {error}; it counts as written",
                        self.skipped
                    );
                }
            }
            OnError::DeadLetters(sink) => {
                crate::logs::warn!("the batch goes to the dead letters of `{name}`: {error}");
                let context = context.named(format!("{name}.dead_letters"));
                let outcome = attempts.run(&context, |rdd, batch| sink.write(rdd, batch));
                outcome.map_err(|GivenUp { missing, .. }| match missing {
                    Missing::Failed(second) => batch.failed(
                        op,
                        format!("{}; and the dead letters failed: {}", error.message, second.message),
                    ),
                    Missing::NotDue => Missing::NotDue,
                })?;
            }
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// Runs one output, if its input is due. Its failure is noted and the outputs after it still run.
    ///
    /// `emit` is called again after an error that may pass, as the policy says.
    pub fn output<T>(
        &mut self,
        output: &Output,
        input: &Step<Rdd<T>>,
        policy: &mut OutputPolicy<T>,
        emit: impl FnMut(&Rdd<T>, &SinkBatch) -> Result<(), SinkError>,
    ) {
        let op = &output.op;
        if self.is_follower() {
            // The outputs are process 0's.
            if let Err(missing) = input {
                self.fail(missing.clone());
            }
            return;
        }
        if self.is_output_done(&output.name) {
            return;
        }
        let watch = OutputWatch::start(self, &output.name, input.as_ref().err());
        let outcome = match input {
            Ok(rdd) => policy.run(self, (&output.name, op), rdd, emit),
            Err(inherited) => Err(inherited.clone()),
        };
        if let Some(watch) = watch {
            self.output_watched(watch.done(
                self,
                input.as_ref().ok().map(Rdd::count),
                input.as_ref().map_or(0, |_| policy.attempts()),
                outcome.as_ref().err(),
            ));
        }
        match outcome {
            Ok(()) => self.output_done(&output.name),
            Err(missing) => self.fail(missing),
        }
    }
}

struct Attempts<'a, 'b, T> {
    batch: &'a Batch<'b>,
    /// Its name in the plan, also while its dead letters are written.
    output: &'a str,
    op: &'a OpMeta,
    rdd: &'a Rdd<T>,
    retry: &'a Retry,
}

struct GivenUp {
    missing: Missing,
    /// By a stop, and not because the batch can't be written.
    stopped: bool,
}

impl<T> Attempts<'_, '_, T> {
    fn run(
        &self,
        context: &SinkContext,
        mut emit: impl FnMut(&Rdd<T>, &SinkBatch) -> Result<(), SinkError>,
    ) -> Result<(), GivenUp> {
        let Attempts { batch, output, op, rdd, retry } = self;
        let (name, time, clock) = (context.output(), batch.time(), context.clock());
        let begun = clock.now();
        let mut attempt = 1;
        loop {
            let sink_batch = SinkBatch {
                context: context.clone(),
                time,
                attempt,
                partitions: rdd.num_partitions(),
                records: rdd.partitions().map(<[T]>::len).sum(),
                may_be_written: attempt > 1 || batch.may_be_written(),
                rerun_from: batch.rerun_from(),
            };
            // A panic is no error that may pass.
            let outcome = batch.guard(std::slice::from_ref(*op), || emit(rdd, &sink_batch));
            let error = match outcome.map_err(|missing| GivenUp { missing, stopped: false })? {
                Ok(()) => {
                    if attempt > 1 {
                        crate::logs::info!("`{name}` has written the batch at {time}, in attempt {attempt}");
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            let given_up = |how: String, stopped: bool| {
                Err(GivenUp {
                    missing: batch.failed_from(op, format!("{error}{how}"), error.cause()),
                    stopped,
                })
            };
            if !error.is_transient() {
                return given_up(String::new(), false);
            }
            // Perhaps only because the context stops: the batch is left to the next start.
            if context.stopping().is_cancelled() {
                return given_up(format!(" (attempt {attempt}; the context stops)"), true);
            }
            let Some(delay) = retry.delay(attempt, clock.now().since(begun)) else {
                let how =
                    if attempt > 1 { format!(" (given up after {attempt} attempts)") } else { String::new() };
                return given_up(how, false);
            };
            batch.events().emit(|| OutputRetried {
                batch: time,
                output: (*output).to_owned(),
                attempt,
                error: error.to_string(),
                next_try_in: delay,
            });
            if attempt.is_power_of_two() {
                crate::logs::warn!(
                    "`{name}` could not write the batch at {time} in attempt {attempt}, and tries again in \
                     {delay:?}; later batches wait: {error}"
                );
            }
            if !clock.wait_until(clock.now() + delay, context.stopping()) {
                return given_up(format!(" (attempt {attempt}; the context stops)"), true);
            }
            attempt = attempt.saturating_add(1);
        }
    }
}
