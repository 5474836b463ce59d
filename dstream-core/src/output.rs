//! An output as its pipeline and the checkpoints know it.

use std::sync::Arc;

use crate::plan::OpMeta;

/// An output of a pipeline. Clones are the same output.
#[derive(Debug, Clone)]
pub struct Output {
    /// The name by which a checkpoint knows whether it has run.
    pub(crate) name: Arc<str>,
    /// Where it is written.
    pub(crate) op: OpMeta,
}

impl Output {
    pub(crate) fn new(name: String, op: &OpMeta) -> Output {
        Output { name: name.into(), op: *op }
    }
}
