//! What `stream!` expands to calls this: it puts a pipeline into a context.

use std::time::Duration;

use super::StreamingContext;
use crate::{
    Config, Error, Input, IntoSource, Result,
    batch::{Batch, OpMeta, Pipeline},
};

/// A pipeline on its way into a context. Errors are kept until [`Builder::finish`], so that the user's `?` stands in one place.
#[derive(Debug)]
pub struct Builder {
    context: Result<StreamingContext>,
}

impl Builder {
    /// For `stream!(batch = .., {})`: a context of its own.
    pub fn create(name: Option<String>, batch: Duration, config: Option<Config>) -> Builder {
        let context = StreamingContext::with_config(batch, config.unwrap_or_default());
        if let (Ok(context), Some(name)) = (&context, name) {
            context.set_name(name);
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
