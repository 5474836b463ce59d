//! What `stream!` expands to calls this: it puts a pipeline into a context.

use std::{path::PathBuf, time::Duration};

use super::{
    StreamingContext,
    hoisted::{Hoisted, Operator},
};
use crate::{
    Config, Error, Input, IntoSource, Result,
    batch::{Batch, OpMeta, Pipeline},
    checkpoint::Stateful,
    window::WindowSpec,
};

/// A pipeline on its way into a context. Errors are kept until [`Builder::finish`], so that the user's `?` stands in one place.
#[derive(Debug)]
pub struct Builder {
    context: Result<StreamingContext>,
}

impl Builder {
    /// For `stream!(batch = .., {})`: a context of its own.
    pub fn create(
        name: Option<String>,
        batch: Duration,
        config: Option<Config>,
        checkpoint: Option<PathBuf>,
        forget: Vec<String>,
    ) -> Builder {
        let context = StreamingContext::with_config(batch, config.unwrap_or_default());
        if let (Ok(context), Some(name)) = (&context, name) {
            context.set_name(name);
        }
        if let (Ok(context), Some(folder)) = (&context, checkpoint) {
            context.set_checkpoint(folder, forget);
        }
        Builder { context }
    }

    /// For `stream!(ssc, {})`: one more pipeline of a context.
    pub fn extend(context: &StreamingContext) -> Builder {
        Builder { context: Ok(context.clone()) }
    }

    /// The batch interval.
    pub fn interval(&self) -> Duration {
        self.context.as_ref().map(StreamingContext::batch_interval).unwrap_or_default()
    }

    /// Adds a source.
    pub fn source<M, S: IntoSource<M>>(&mut self, source: S) -> Input<S::Source> {
        let input = Input::new(source.into_source());
        let added = input.clone();
        self.then(|context| context.add_input(Box::new(added)));
        input
    }

    /// Checks the number of partitions that a shuffle was asked for; without one, the context's default.
    pub fn partitions(&mut self, asked: Option<usize>, op: &OpMeta) -> usize {
        match asked {
            Some(n @ 1..=65_536) => n,
            Some(n) => {
                self.then(|_| {
                    Err(Error::Invalid(format!(
                        "`{}` at {}:{}: {n} partitions asked for: from 1 to 65536 are possible",
                        op.name, op.file, op.line
                    )))
                });
                1
            }
            None => self.context.as_ref().map_or(1, StreamingContext::default_partitions),
        }
    }

    /// Checks a window over a stream with the slide `parent`; `None` is the batch interval. `slide` is the parent's if there
    /// is none.
    pub fn window(
        &mut self,
        length: Duration,
        slide: Option<Duration>,
        parent: Option<Duration>,
        op: &OpMeta,
    ) -> WindowSpec {
        let (unit, of) = match parent {
            Some(parent) => (parent, "the slide of its stream"),
            None => (self.interval(), "the batch interval"),
        };
        let slide = slide.unwrap_or(unit);
        let values = [("length", length), ("slide", slide)];
        // Without a unit there is a first error already.
        if let Some((what, value)) =
            values.into_iter().find(|(_, value)| !unit.is_zero() && !is_multiple(*value, unit))
        {
            let fits =
                unit.saturating_mul(u32::try_from(value.as_nanos() / unit.as_nanos()).unwrap_or(u32::MAX));
            let or_more = fits.saturating_add(unit);
            let fits =
                if fits.is_zero() { format!("{or_more:?}") } else { format!("{fits:?} or {or_more:?}") };
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: the {what} of the window is {value:?}, which is not a multiple of {of}, {unit:?}: \
                     {fits} would be",
                    op.name, op.file, op.line
                )))
            });
        }
        WindowSpec { length, slide }
    }

    /// Checks that two streams that meet in `op` have a batch at the same times; `None` is the batch interval.
    pub fn same_slide(&mut self, first: Option<Duration>, second: Option<Duration>, op: &OpMeta) {
        let interval = self.interval();
        let (first, second) = (first.unwrap_or(interval), second.unwrap_or(interval));
        if first != second {
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: its streams have different slides, {first:?} and {second:?}: give both the same, \
                     for example with `window`",
                    op.name, op.file, op.line
                )))
            });
        }
    }

    /// Keeps what an operator has from batch to batch where the batches and the checkpoints find it. `name` is that
    /// of the `let`, and what a checkpoint knows it by.
    pub fn stateful<T: Stateful + 'static>(&mut self, name: &str, op: &OpMeta, operator: T) -> Hoisted<T> {
        let hoisted = Hoisted::new(operator);
        let shared = hoisted.share();
        self.then(|context| context.add_operator(Operator { name: name.to_owned(), op: *op, shared }));
        hoisted
    }

    /// Adds the function that runs once a batch.
    pub fn pipeline(&mut self, outputs: usize, run: impl FnMut(&mut Batch<'_>) + Send + 'static) {
        self.then(|context| context.add_pipeline(Pipeline { run: Box::new(run), outputs }));
    }

    /// The context, or the first thing that was wrong.
    pub fn finish(self) -> Result<StreamingContext> {
        self.context
    }

    fn then(&mut self, step: impl FnOnce(&StreamingContext) -> Result<()>) {
        if let Ok(context) = &self.context
            && let Err(error) = step(context)
        {
            self.context = Err(error);
        }
    }
}

fn is_multiple(value: Duration, unit: Duration) -> bool {
    !value.is_zero() && value.as_nanos().is_multiple_of(unit.as_nanos())
}
