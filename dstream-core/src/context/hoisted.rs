//! What lives longer than a batch: shared by the function that runs once a batch and by the checkpoints.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{checkpoint::Stateful, plan::OpMeta, sync::Unpoisoned};

/// A handle on something that an operator keeps from batch to batch.
#[derive(Debug)]
pub struct Hoisted<T>(Arc<Mutex<T>>);

impl<T> Clone for Hoisted<T> {
    fn clone(&self) -> Self {
        Hoisted(Arc::clone(&self.0))
    }
}

impl<T> Hoisted<T> {
    pub(super) fn new(operator: T) -> Self {
        Hoisted(Arc::new(Mutex::new(operator)))
    }

    /// The operator. A batch and a checkpoint never want it at the same time.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // Operators guard the user's code; what a panic of this crate's leaves behind is no worse than no
        // operator.
        self.0.lock().unpoisoned()
    }

    pub(super) fn share(&self) -> Arc<Mutex<dyn Stateful>>
    where
        T: Stateful + 'static,
    {
        Arc::clone(&self.0) as Arc<Mutex<dyn Stateful>>
    }
}

/// An operator with something to keep, as the checkpoints see it.
pub(super) struct Operator {
    /// The name by which a checkpoint knows it.
    pub(super) name: String,
    pub(super) op: OpMeta,
    /// Whether only a checkpoint can bring back what it keeps.
    pub(super) has_state: bool,
    pub(super) shared: Arc<Mutex<dyn Stateful>>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).field("op", &self.op).finish_non_exhaustive()
    }
}
