//! What a listener knows of its context.

use std::{fmt, sync::Arc, time::Duration};

use super::KeptOperators;
use crate::plan::Plan;

/// A context, as a [`Listener`](super::Listener) sees it that is attached to it. Clones are cheap, and do not
/// keep the context alive.
#[derive(Clone)]
pub struct ContextView {
    plan: Arc<Plan>,
    kept: Arc<KeptOperators>,
}

impl ContextView {
    pub(crate) fn new(plan: Plan, kept: KeptOperators) -> ContextView {
        ContextView { plan: Arc::new(plan), kept: Arc::new(kept) }
    }

    pub(super) fn kept(&self) -> &KeptOperators {
        &self.kept
    }

    /// The name of the application.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The batch interval.
    pub fn batch_interval(&self) -> Duration {
        self.plan.batch_interval
    }

    /// What the context does in each batch.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl fmt::Debug for ContextView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextView").field("name", &self.name()).finish_non_exhaustive()
    }
}
