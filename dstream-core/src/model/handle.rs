//! What a program and its pipelines have of a model in common.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use super::Model;
use crate::{batch::Step, sync::Unpoisoned};

/// A handle on a model: pipelines train and ask it, the program reads it. Clones have the same model.
pub struct ModelHandle<M> {
    shared: Arc<Mutex<Shared<M>>>,
}

struct Shared<M> {
    /// The model, or why there is none any more.
    model: Step<Arc<M>>,
    /// The last one that there was.
    latest: Arc<M>,
    /// Whether a pipeline trains it.
    trainer: Weak<Claim>,
}

/// Held by the one operator that trains a model.
#[derive(Debug)]
pub(crate) struct Claim;

impl<M: Model> ModelHandle<M> {
    /// A handle on this model.
    pub fn new(model: M) -> ModelHandle<M> {
        let latest = Arc::new(model);
        let shared = Shared { model: Ok(Arc::clone(&latest)), latest, trainer: Weak::new() };
        ModelHandle { shared: Arc::new(Mutex::new(shared)) }
    }

    /// The model of the last batch that it has learned as a whole: before the first one, as it was made or
    /// as the checkpoint had it.
    pub fn latest(&self) -> Arc<M> {
        Arc::clone(&self.lock().latest)
    }

    /// The model for an operator. Once a batch is lost to it, there is none.
    pub(crate) fn for_batch(&self) -> Step<Arc<M>> {
        self.lock().model.clone()
    }

    /// A batch has been learned, or was not.
    pub(crate) fn set(&self, model: Step<M>) {
        let mut shared = self.lock();
        shared.model = model.map(Arc::new);
        if let Ok(model) = &shared.model {
            shared.latest = Arc::clone(model);
        }
    }

    /// Takes the model to train it; `None` while another operator has it.
    pub(crate) fn claim(&self) -> Option<Arc<Claim>> {
        let mut shared = self.lock();
        if shared.trainer.strong_count() > 0 {
            return None;
        }
        let claim = Arc::new(Claim);
        shared.trainer = Arc::downgrade(&claim);
        // A context before may have lost a batch; this one goes on from its own checkpoint.
        shared.model = Ok(Arc::clone(&shared.latest));
        Some(claim)
    }

    fn lock(&self) -> MutexGuard<'_, Shared<M>> {
        self.shared.lock().unpoisoned()
    }
}

impl<M> Clone for ModelHandle<M> {
    fn clone(&self) -> Self {
        ModelHandle { shared: Arc::clone(&self.shared) }
    }
}

impl<M: fmt::Debug> fmt::Debug for ModelHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelHandle").field(&self.shared.lock().unpoisoned().latest).finish()
    }
}
