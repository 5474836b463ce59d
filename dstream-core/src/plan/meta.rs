//! What the expansion of `stream!` says of its pipeline, as statics: [`super::Plan`] is made of it.

use super::{Keeps, OperatorKind};

/// Where an operator is written.
#[derive(Debug, Clone, Copy)]
pub struct OpMeta {
    /// Its name.
    pub name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// First line of the call, counted from 1.
    pub line: u32,
    /// First column of the call, counted from 1.
    pub column: u32,
    /// Last line of the call.
    pub end_line: u32,
    /// The column behind the call.
    pub end_column: u32,
}

impl OpMeta {
    /// Whether this is the same place in the source.
    pub(crate) fn is(&self, other: &OpMeta) -> bool {
        self.file == other.file && (self.line, self.column) == (other.line, other.column)
    }

    /// Whether it is at this place.
    pub(crate) fn is_at(&self, file: &str, line: u32, column: u32) -> bool {
        self.file == file && (self.line, self.column) == (line, column)
    }

    /// Whether the call holds this place in the source.
    pub(crate) fn holds(&self, file: &str, line: u32, column: u32) -> bool {
        self.file == file
            && (self.line, self.column) <= (line, column)
            && (line, column) < (self.end_line, self.end_column)
    }
}

/// A pipeline, as the compiler has it.
#[derive(Debug, Clone, Copy)]
pub struct PipelineMeta {
    /// Where each operator is written; its number is its index.
    pub places: &'static [OpMeta],
    /// What else is known of each.
    pub operators: &'static [OperatorMeta],
    /// The loops, in the order in which they run.
    pub stages: &'static [StageMeta],
}

/// An operator, beside its place.
#[derive(Debug, Clone, Copy)]
pub struct OperatorMeta {
    /// Its name.
    pub operator: &'static str,
    /// The `let` that names its stream.
    pub stream: Option<&'static str>,
    /// Its arguments, in short.
    pub arguments: &'static str,
    /// Where it runs.
    pub kind: OperatorKind,
    /// What it keeps from batch to batch.
    pub keeps: Keeps,
    /// The operators that it reads.
    pub inputs: &'static [usize],
    /// Whether an output depends on it.
    pub live: bool,
}

/// A stage: one loop nest, which runs in tasks.
#[derive(Debug, Clone, Copy)]
pub struct StageMeta {
    /// Its number in its pipeline.
    pub id: usize,
    /// The operator whose records it reads.
    pub root: usize,
    /// The operators of the loop and those whose sinks it fills, in the order of the program.
    pub operators: &'static [usize],
    /// Where each operator of the pipeline is written.
    pub places: &'static [OpMeta],
}

impl StageMeta {
    /// Where the operators of the stage are written, that of its records first.
    pub(crate) fn ops(&self) -> Vec<OpMeta> {
        let ids = std::iter::once(&self.root).chain(self.operators);
        ids.filter_map(|id| self.places.get(*id).copied()).collect()
    }
}
