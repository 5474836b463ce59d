//! Errors that fail no batch, but that somebody should know of.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    Error,
    events::{Bus, Reported},
};

type Hook = Arc<dyn Fn(&Error) + Send + Sync>;

/// Where such errors go: to the user's hook, and the first of them to who asks at the end.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    hook: Option<Hook>,
    first: Arc<OnceLock<Error>>,
    events: Bus,
}

impl Reports {
    pub(crate) fn new(hook: impl Fn(&Error) + Send + Sync + 'static) -> Reports {
        Reports { hook: Some(Arc::new(hook)), ..Reports::default() }
    }

    /// The same hook, and no error yet: a `Config` may be used for several contexts.
    pub(crate) fn of_one_context(&self, events: &Bus) -> Reports {
        Reports { hook: self.hook.clone(), first: Arc::default(), events: events.clone() }
    }

    /// Records were lost, such as those of a file that can't be read.
    pub(crate) fn report(&self, error: Error) {
        tracing::error!("{error}");
        self.tell(&error);
        // Only the first is kept.
        let _ = self.first.set(error);
    }

    /// For the user's hook and the listeners: something went wrong that is logged already and will be tried again.
    pub(crate) fn tell(&self, error: &Error) {
        self.events.emit(|| Reported { error: error.to_string() });
        let Some(hook) = &self.hook else { return };
        if catch_unwind(AssertUnwindSafe(|| hook(error))).is_err() {
            tracing::warn!("the function given to `Config::on_report` panicked");
        }
    }

    /// Something that must succeed went wrong, and nothing goes on until it does.
    pub(crate) fn retry(&self, error: Error, delay: Duration) {
        tracing::error!("{error}; next try in {delay:?}, nothing more is acknowledged before");
        self.tell(&error);
    }

    /// The first error by which records were lost.
    pub(crate) fn first(&self) -> Option<Error> {
        self.first.get().cloned()
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("hook", &self.hook.is_some()).field("first", &self.first).finish()
    }
}
