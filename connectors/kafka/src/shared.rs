//! What the threads of a source and its batches share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use dstream_core::{Error, clock::CancellationToken, source::SourceContext};

use crate::{
    chunk::ChunkPool,
    errors::SKIP,
    partition::{Partition, PartitionId},
    settings::OnLoss,
};

/// A source that has been started.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) on_loss: OnLoss,
    pub(crate) chunks: ChunkPool,
    pub(crate) context: SourceContext,
    /// Set when nothing more is to be read.
    pub(crate) stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Arc<Partition>>,
    /// Why every further batch fails.
    failure: Option<String>,
}

impl Shared {
    pub(crate) fn new(name: String, on_loss: OnLoss, chunks: ChunkPool, context: &SourceContext) -> Shared {
        Shared {
            name,
            on_loss,
            chunks,
            context: context.clone(),
            stopping: CancellationToken::new(),
            state: Mutex::default(),
        }
    }

    /// The partitions that are read, in the order of their topics and numbers.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.state().partitions.clone()
    }

    pub(crate) fn add(&self, new: &[Arc<Partition>]) {
        let mut state = self.state();
        state.partitions.extend(new.iter().cloned());
        state.partitions.sort_by(|a, b| a.id.cmp(&b.id));
    }

    pub(crate) fn remove(&self, gone: &PartitionId) {
        self.state().partitions.retain(|partition| partition.id != *gone);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Messages are gone that no batch has had; returns whether the stream goes on without them.
    pub(crate) fn lost(&self, what: String) -> bool {
        match self.on_loss {
            OnLoss::Skip => {
                self.context.report(Error::source(&self.name, what));
                true
            }
            OnLoss::Fail => {
                self.fail(format!("{what}. {SKIP}"));
                false
            }
        }
    }

    /// Runs a thread of the source. If it panics, which is a fault of this crate or of a log subscriber,
    /// nothing would be read any more: every further batch fails.
    pub(crate) fn watch(&self, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            let thread = thread::current();
            self.fail(format!("the thread `{}` has ended by a panic", thread.name().unwrap_or_default()));
        }
    }

    /// Lets every further batch fail.
    pub(crate) fn fail(&self, why: String) {
        self.state().failure.get_or_insert(why);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
