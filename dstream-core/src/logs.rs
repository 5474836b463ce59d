//! Log messages, which nothing depends on: a log subscriber that panics costs its message and nothing else.
//!
//! A subscriber that writes to a closed pipe may panic, and it does so on the thread that logs: the one that
//! handles signals, runs batches or stops the context. So no thread of the runtime calls `tracing` by itself
//! (`clippy.toml` holds that).

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `log`, which may call a log subscriber; a panic of it ends here. The panic hook has been told.
pub(crate) fn guard(log: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(log));
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
