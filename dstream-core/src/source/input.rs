//! A source as the context holds it: planned at the batch's time, taken when the batch runs.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Block, Source, SourceContext};
use crate::{
    Bytes, Error, Result, Time,
    checkpoint::{Changes, Stateful},
    events::InputInfo,
};

/// A source that belongs to a context, and the blocks planned for batches that have not run yet.
///
/// Planning happens when the clock reaches a batch's time, running when the batches before it are done, so that
/// a late batch still holds exactly what had arrived by its own time.
pub struct Input<S: Source> {
    shared: Arc<Mutex<Shared<S>>>,
}

struct Shared<S: Source> {
    source: S,
    planned: VecDeque<Planned<S>>,
    /// Whether somebody wants to know what a batch has taken.
    checkpointed: bool,
}

/// What a batch that has not run yet will get.
struct Planned<S: Source> {
    time: Time,
    blocks: Result<Vec<S::Block>>,
    taken: Taken,
}

/// What a checkpoint must know of a source's part of a batch.
#[derive(Default)]
pub(crate) struct Taken {
    /// What the source says of it, if it can give it again.
    pub(crate) record: Option<Bytes>,
    /// What the source has learnt.
    pub(crate) changes: Changes,
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
        Input {
            shared: Arc::new(Mutex::new(Shared { source, planned: VecDeque::new(), checkpointed: false })),
        }
    }

    /// The blocks planned for `time`; none if it was never planned.
    pub(crate) fn take(&self, time: Time) -> Result<Vec<S::Block>> {
        let mut shared = self.lock();
        let at = shared.planned.iter().position(|planned| planned.time == time);
        at.and_then(|at| shared.planned.remove(at)).map_or(Ok(Vec::new()), |planned| planned.blocks)
    }

    fn add(&self, time: Time, blocks: impl FnOnce(&mut S) -> Result<Vec<S::Block>>) {
        let mut shared = self.lock();
        let Shared { source, planned, checkpointed } = &mut *shared;
        // A source is somebody's code: its panic must cost one batch, not the clock's thread.
        let blocks = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| blocks(source)))
            .unwrap_or_else(|panic| {
                Err(Error::source(
                    source.name(),
                    format_args!("panicked: {}", crate::batch::panic_text(&*panic)),
                ))
            });
        let mut taken = Taken::default();
        if *checkpointed {
            taken.record = source.taken();
            if let Some(state) = source.state() {
                state.lock().unwrap_or_else(PoisonError::into_inner).changes(&mut taken.changes);
            }
        }
        planned.push_back(Planned { time, blocks, taken });
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
    /// What is planned for the batch at `time` and has not been taken.
    fn planned(&self, time: Time) -> Option<InputInfo>;
    /// Plans a batch that was begun before a restart: what it had then.
    fn replay(&self, time: Time, record: &[u8]);
    /// What a checkpoint must know of the batch at `time`, which is planned; once.
    fn taken(&self, time: Time) -> Taken;
    /// What a checkpoint must hold of the source; from now on, it is told of each batch.
    fn state(&self) -> Option<Arc<Mutex<dyn Stateful>>>;
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
        self.add(time, |source| source.batch(time));
    }

    fn planned(&self, time: Time) -> Option<InputInfo> {
        let shared = self.lock();
        let planned = shared.planned.iter().find(|planned| planned.time == time)?;
        let blocks = planned.blocks.as_deref().unwrap_or_default();
        Some(InputInfo {
            source: shared.source.name(),
            blocks: blocks.len() as u64,
            bytes: blocks.iter().map(|block| block.weight() as u64).sum(),
            records: None,
        })
    }

    fn replay(&self, time: Time, record: &[u8]) {
        self.add(time, |source| source.replay(time, record));
    }

    fn taken(&self, time: Time) -> Taken {
        let mut shared = self.lock();
        let planned = shared.planned.iter_mut().find(|planned| planned.time == time);
        planned.map(|planned| std::mem::take(&mut planned.taken)).unwrap_or_default()
    }

    fn state(&self) -> Option<Arc<Mutex<dyn Stateful>>> {
        let mut shared = self.lock();
        shared.checkpointed = true;
        shared.source.state()
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
