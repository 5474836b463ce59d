//! Log messages, which nothing depends on: a log subscriber that panics costs its message and nothing else.
//!
//! A subscriber that writes to a closed pipe may panic, and it does so on the thread that logs: the one that
//! handles signals, runs batches or stops the context. So no thread of the runtime calls `tracing` by itself
//! (`clippy.toml` holds that).

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::{
    Level,
    field::{Empty, display},
    span::EnteredSpan,
};

use crate::{Time, plan::StageMeta};

/// Runs `log`, which may call a log subscriber; a panic of it ends here. The panic hook has been told.
pub(crate) fn guard(log: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(log));
}

/// A span of `tracing` that this thread is in; it ends when this is dropped. Without a subscriber it is
/// nothing but the look whether there is one.
pub(crate) struct Span(Option<EnteredSpan>);

impl Span {
    /// A batch is processed.
    pub(crate) fn batch(time: Time) -> Span {
        Span::enter(|| tracing::span!(Level::INFO, "batch", time = time.as_millis(), error = Empty))
    }

    /// A stage of a pipeline runs over so many blocks.
    pub(crate) fn stage(pipeline: usize, stage: &StageMeta, blocks: usize) -> Span {
        Span::enter(|| {
            tracing::span!(
                Level::INFO,
                "stage",
                pipeline,
                stage = stage.id,
                operators = display(Operators(stage)),
                blocks,
                error = Empty
            )
        })
    }

    fn enter(make: impl FnOnce() -> tracing::Span) -> Span {
        // Where nobody listens nothing is made, not even a span that is disabled.
        if !tracing::level_enabled!(Level::INFO) {
            return Span(None);
        }
        Span(catch_unwind(AssertUnwindSafe(|| make().entered())).ok())
    }

    /// What it is about has failed.
    pub(crate) fn failed(&self, error: &impl fmt::Display) {
        if let Some(span) = &self.0 {
            guard(|| {
                span.record("error", display(error));
            });
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            guard(|| drop(span));
        }
    }
}

/// The operators of a stage, as in `flat_map, map`.
struct Operators<'a>(&'a StageMeta);

impl fmt::Display for Operators<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, op) in self.0.ops().iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", op.name)?;
        }
        Ok(())
    }
}

macro_rules! error {
    ($($message:tt)*) => {
        $crate::logs::guard(|| ::tracing::event!(::tracing::Level::ERROR, $($message)*))
    };
}

macro_rules! warning {
    ($($message:tt)*) => {
        $crate::logs::guard(|| ::tracing::event!(::tracing::Level::WARN, $($message)*))
    };
}

macro_rules! info {
    ($($message:tt)*) => {
        $crate::logs::guard(|| ::tracing::event!(::tracing::Level::INFO, $($message)*))
    };
}

macro_rules! debug {
    ($($message:tt)*) => {
        $crate::logs::guard(|| ::tracing::event!(::tracing::Level::DEBUG, $($message)*))
    };
}

pub(crate) use {debug, error, info, warning as warn};
