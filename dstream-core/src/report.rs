//! Errors that fail no batch, but that somebody should know of.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    Error, JobError,
    events::{Bus, Reported},
    logs,
};

type Hook<E> = Arc<dyn Fn(&E) + Send + Sync>;

/// Where such errors go: to the user's hook, and the first of them to who asks at the end. Failures of
/// batches have a hook of their own.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    hook: Option<Hook<Error>>,
    failure_hook: Option<Hook<JobError>>,
    first: Arc<OnceLock<Error>>,
    events: Bus,
}

impl Reports {
    pub(crate) fn on_report(&mut self, hook: impl Fn(&Error) + Send + Sync + 'static) {
        self.hook = Some(Arc::new(hook));
    }

    pub(crate) fn on_batch_failure(&mut self, hook: impl Fn(&JobError) + Send + Sync + 'static) {
        self.failure_hook = Some(Arc::new(hook));
    }

    /// The same hooks, and no error yet: a `Config` may be used for several contexts.
    pub(crate) fn of_one_context(&self, events: &Bus) -> Reports {
        Reports { first: Arc::default(), events: events.clone(), ..self.clone() }
    }

    /// An output has failed in a batch.
    pub(crate) fn failed(&self, failure: &JobError) {
        logs::error!("{failure}");
        call(self.failure_hook.as_ref(), failure, "on_batch_failure");
    }

    /// Records were lost, such as those of a file that can't be read.
    pub(crate) fn report(&self, error: Error) {
        logs::error!("{error}");
        self.tell(&error);
        // Only the first is kept.
        let _ = self.first.set(error);
    }

    /// For the user's hook and the listeners: something went wrong that is logged already and will be tried
    /// again.
    pub(crate) fn tell(&self, error: &Error) {
        self.events.emit(|| Reported { error: error.to_string() });
        call(self.hook.as_ref(), error, "on_report");
    }

    /// Something that must succeed went wrong, and nothing goes on until it does.
    pub(crate) fn retry(&self, error: Error, delay: Duration) {
        logs::error!("{error}; next try in {delay:?}, nothing more is acknowledged before");
        self.tell(&error);
    }

    /// The first error by which records were lost.
    pub(crate) fn first(&self) -> Option<Error> {
        self.first.get().cloned()
    }
}

/// Calls a function of the user's; its panic costs nothing else.
fn call<E>(hook: Option<&Hook<E>>, error: &E, setting: &str) {
    if let Some(hook) = hook
        && catch_unwind(AssertUnwindSafe(|| hook(error))).is_err()
    {
        logs::warn!("the function given to `Config::{setting}` panicked");
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("hook", &self.hook.is_some()).field("first", &self.first).finish()
    }
}
