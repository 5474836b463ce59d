//! A source as the context holds it: planned at the batch's time, taken when the batch runs.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Source, SourceContext};
use crate::{Error, Result, Time};

/// A source that belongs to a context, and the blocks planned for batches that have not run yet.
///
/// Planning happens when the clock reaches a batch's time, running when the batches before it are done, so that
/// a late batch still holds exactly what had arrived by its own time.
pub struct Input<S: Source> {
    shared: Arc<Mutex<Shared<S>>>,
}

struct Shared<S: Source> {
    source: S,
    planned: VecDeque<(Time, Result<Vec<S::Block>>)>,
}

impl<S: Source> fmt::Debug for Input<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

impl<S: Source> Clone for Input<S> {
    fn clone(&self) -> Self {
        Input { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Source> Input<S> {
    pub(crate) fn new(source: S) -> Self {
        Input { shared: Arc::new(Mutex::new(Shared { source, planned: VecDeque::new() })) }
    }

    /// The blocks planned for `time`; none if it was never planned.
    pub(crate) fn take(&self, time: Time) -> Result<Vec<S::Block>> {
        let mut shared = self.lock();
        match shared.planned.iter().position(|(planned, _)| *planned == time) {
            Some(at) => shared.planned.remove(at).map_or(Ok(Vec::new()), |(_, blocks)| blocks),
            None => Ok(Vec::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<S>> {
        // A panic inside a source is reported where it happened; what it left behind is still the source.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The half of an [`Input`] that the context drives without knowing the type of its records.
pub(crate) trait AnyInput: Send + Sync {
    fn name(&self) -> String;
    fn start(&self, context: &SourceContext) -> Result<()>;
    /// Decides what belongs to the batch at `time`.
    fn plan(&self, time: Time);
    fn has_pending(&self) -> bool;
    fn is_exhausted(&self) -> Option<bool>;
    fn stop(&self);
}

impl<S: Source> AnyInput for Input<S> {
    fn name(&self) -> String {
        self.lock().source.name()
    }

    fn start(&self, context: &SourceContext) -> Result<()> {
        self.lock().source.start(context)
    }

    fn plan(&self, time: Time) {
        let mut shared = self.lock();
        let Shared { source, planned } = &mut *shared;
        // A source is somebody's code: its panic must cost one batch, not the clock's thread.
        let blocks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| source.batch(time)))
            .unwrap_or_else(|panic| {
                Err(Error::source(
                    source.name(),
                    format_args!("panicked: {}", crate::batch::panic_text(&*panic)),
                ))
            });
        planned.push_back((time, blocks));
    }

    fn has_pending(&self) -> bool {
        self.lock().source.has_pending()
    }

    fn is_exhausted(&self) -> Option<bool> {
        self.lock().source.is_exhausted()
    }

    fn stop(&self) {
        self.lock().source.stop();
    }
}
