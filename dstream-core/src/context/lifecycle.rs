//! Where a context is in its life, and what it has there.

use std::sync::Arc;

use super::{ContextState, failures::Failures, hoisted::Operator, inner::Run};
use crate::{
    Config, Error, Result,
    async_runtime::AsyncRuntime,
    batch::Pipeline,
    checkpoint::Storage,
    output::Output,
    plan::{OpMeta, PipelinePlan},
    source::AnyInput,
};

/// The stage of its life that a context is in, with what exists only there. It advances, and never goes back.
pub(super) enum Phase {
    /// Pipelines are added.
    Initialized { pipelines: Vec<Pipeline> },
    /// Whoever has started the context has its pipelines, and runs batches.
    Active,
    /// The stop has ended.
    Stopped,
}

/// What a context is made of, and where it is in its life. Its lock makes each step from one phase to the
/// next atomic.
pub(super) struct Lifecycle {
    pub(super) name: String,
    pub(super) phase: Phase,
    /// Whether a stop is under way, or has ended.
    pub(super) stop_begun: bool,
    /// The storage of checkpoints, and the operators whose state may be dropped.
    pub(super) checkpoint: Option<Storage>,
    pub(super) forget: Vec<String>,
    /// Whether state that no checkpoint keeps may be lost.
    pub(super) volatile_state: bool,
    /// The outputs of all pipelines.
    pub(super) outputs: Vec<Output>,
    /// Whether a pipeline does something without an output.
    pub(super) acts: bool,
    pub(super) inputs: Vec<Arc<dyn AnyInput>>,
    /// The names by which the checkpoints know them, and their places.
    pub(super) source_names: Vec<(String, OpMeta)>,
    /// The plans of the pipelines, which remain when the context ends.
    pub(super) plans: Vec<PipelinePlan>,
    /// The operators with state, in the order of the program.
    pub(super) operators: Vec<Operator>,
    /// The threads, while a started context is active.
    pub(super) run: Option<Run>,
    pub(super) failures: Failures,
    /// Where async outputs run, until the end; the outputs keep it for their own.
    pub(super) async_runtime: Arc<AsyncRuntime>,
}

impl Lifecycle {
    pub(super) fn new(config: &Config) -> Lifecycle {
        Lifecycle {
            name: config.name.clone(),
            phase: Phase::Initialized { pipelines: Vec::new() },
            stop_begun: false,
            checkpoint: config.checkpoint.clone(),
            forget: config.forget.clone(),
            volatile_state: config.volatile_state,
            outputs: Vec::new(),
            acts: false,
            inputs: Vec::new(),
            source_names: Vec::new(),
            plans: Vec::new(),
            operators: Vec::new(),
            run: None,
            failures: Failures::default(),
            async_runtime: Arc::default(),
        }
    }

    /// The phase as users see it.
    pub(super) fn state(&self) -> ContextState {
        match self.phase {
            Phase::Initialized { .. } => ContextState::Initialized,
            Phase::Active => ContextState::Active,
            Phase::Stopped => ContextState::Stopped,
        }
    }

    /// Makes the context active, and hands its pipelines to the caller, who runs them. A context that is
    /// active or stopped stays so, and has none to hand out.
    pub(super) fn activate(&mut self) -> Vec<Pipeline> {
        match &mut self.phase {
            Phase::Initialized { pipelines } => {
                let pipelines = std::mem::take(pipelines);
                self.phase = Phase::Active;
                pipelines
            }
            Phase::Active | Phase::Stopped => Vec::new(),
        }
    }

    /// The pipelines that are added. An error if the context is started or stopped, which says that `what`
    /// comes too late.
    pub(super) fn can_add(&mut self, what: &str) -> Result<&mut Vec<Pipeline>> {
        match &mut self.phase {
            Phase::Initialized { pipelines } => Ok(pipelines),
            Phase::Active => Err(Error::State(format!(
                "{what} can't be added to a context that has been started: add all before `start`"
            ))),
            Phase::Stopped => Err(Error::State(format!(
                "{what} can't be added to a context that has been stopped: make a new one"
            ))),
        }
    }
}
