//! The plan of a context: its pipelines as data.
//!
//! [`StreamingContext::plan`](crate::StreamingContext::plan) gives it, without running a batch. It says what
//! the compiler made of each `stream!`: the operators with their places in the source, the streams between
//! them, and the stages, which are the loops that run. It is written as text by `Display`, as a graph by
//! [`Plan::to_dot`] and [`Plan::to_mermaid`], and by `serde` as anything else.
//!
//! ```
//! use dstream::prelude::*;
//!
//! let ssc = dstream::stream!(batch = 1s, {
//!     let lines = queue_stream(vec![vec!["a b a"]]);
//!     let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
//!     pairs.reduce_by_key(|a, b| a + b).print();
//! })?;
//! let plan = ssc.plan();
//! let names: Vec<&str> = plan.pipelines[0].operators.iter().map(|op| op.operator.as_str()).collect();
//! assert_eq!(names, ["queue_stream", "flat_map", "map", "reduce_by_key", "print"]);
//! // All of it is one loop over the lines, but for the output.
//! assert_eq!(plan.pipelines[0].stages[0].operators, [1, 2, 3]);
//! println!("{plan}");
//! # Ok::<(), dstream::Error>(())
//! ```

mod graph;
pub(crate) mod meta;
mod text;

use std::{fmt, time::Duration};

use serde::Serialize;

pub(crate) use meta::{OpMeta, PipelineMeta, StageMeta};

/// What a context does in each batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The name of the application.
    pub name: String,
    /// The batch interval.
    pub batch_interval: Duration,
    /// Where checkpoints are kept; `None` without any.
    pub checkpoint: Option<String>,
    /// The settings of its [`Config`](crate::Config) that say how it runs, in text.
    pub settings: Vec<Setting>,
    /// The pipelines, in the order in which they run in a batch.
    pub pipelines: Vec<PipelinePlan>,
}

/// A setting, as in `threads: 8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// The method of [`Config`](crate::Config) that sets it.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Setting {
    pub(crate) fn new(name: &str, value: impl fmt::Debug) -> Setting {
        Setting { name: name.to_owned(), value: format!("{value:?}") }
    }
}

/// One `stream!`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PipelinePlan {
    /// Its number in the context, counted from 0.
    pub id: usize,
    /// Its operators, in the order of the program: [`OperatorPlan::id`] is the index.
    pub operators: Vec<OperatorPlan>,
    /// The loops, in the order in which they run: [`StagePlan::id`] is the index.
    pub stages: Vec<StagePlan>,
}

/// One call in a pipeline, or the source that a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperatorPlan {
    /// Its number in its pipeline, counted from 0.
    pub id: usize,
    /// The operator, as in `reduce_by_key`; of a source, the expression up to its arguments, as in
    /// `queue_stream`.
    pub operator: String,
    /// The `let` that names its stream.
    pub stream: Option<String>,
    /// Its arguments in short. Of closures there is only the head, as in `|a, b| ..`.
    pub arguments: String,
    /// How events and the messages of a context name it: a source as it names itself, as in
    /// `socket_text_stream(localhost:9999)`, or by `named`, with a number where another source has that name;
    /// an operator that keeps something, and an output, by the name that the program's text gives it.
    pub name: Option<String>,
    /// Where it runs.
    pub kind: OperatorKind,
    /// What it keeps from batch to batch.
    pub keeps: Keeps,
    /// The length and slide of a window.
    pub window: Option<WindowPlan>,
    /// Into how many partitions it divides the keys, if it does.
    pub partitions: Option<usize>,
    /// The operators that it reads, in the order of its arguments.
    pub inputs: Vec<usize>,
    /// Whether an output depends on it. What none does is not computed.
    pub computed: bool,
    /// The source file in which it is written, as the compiler names it.
    pub file: String,
    /// Its first line, counted from 1.
    pub line: u32,
    /// Its first column, counted from 1.
    pub column: u32,
}

/// The span of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WindowPlan {
    /// Of how long a time it has the records.
    pub length: Duration,
    /// After what time it yields again.
    pub slide: Duration,
}

/// Where an operator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperatorKind {
    /// It gives a stage its records: a source, or a stream that another pipeline publishes.
    Source,
    /// In the loop of a stage, record by record.
    Narrow,
    /// Nowhere: the same records go on, as behind `union` and `cache`.
    Forward,
    /// Behind the stages that feed it: it needs the whole batch, and its result is read by other stages and
    /// by outputs.
    Wide,
    /// At the end of a batch.
    Output,
    /// At the end of a batch: the stream is published, as a [`StreamHandle`](crate::StreamHandle).
    Handle,
}

/// What an operator keeps from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keeps {
    /// Nothing.
    Nothing,
    /// The batches of a window.
    Window,
    /// State: only a checkpoint can bring it back.
    State,
}

/// A loop over the blocks of one stream, which runs in tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StagePlan {
    /// Its number in its pipeline, counted from 0.
    pub id: usize,
    /// The operator whose records it reads.
    pub reads: usize,
    /// The operators of the loop, and those which the loop hands its records to, in the order of the program.
    pub operators: Vec<usize>,
}

/// A stream between two operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The operator whose records they are.
    pub from: usize,
    /// The operator that reads them.
    pub to: usize,
}

impl PipelinePlan {
    /// The streams, in the order of the operators that read them.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        self.operators.iter().flat_map(|op| op.inputs.iter().map(|from| Edge { from: *from, to: op.id }))
    }

    /// The outputs, in the order in which they run; published streams are among them.
    pub fn outputs(&self) -> impl Iterator<Item = &OperatorPlan> {
        self.operators.iter().filter(|op| op.is_output())
    }

    /// The sources.
    pub fn sources(&self) -> impl Iterator<Item = &OperatorPlan> {
        self.operators.iter().filter(|op| op.kind == OperatorKind::Source)
    }
}

impl OperatorPlan {
    /// Whether it is done for what it does to the world: an output, or a stream that is published.
    pub fn is_output(&self) -> bool {
        matches!(self.kind, OperatorKind::Output | OperatorKind::Handle)
    }
}

/// What only the running program knows of an operator.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    Name(String),
    Window(WindowPlan),
    Partitions(usize),
}

impl PipelinePlan {
    /// The plan of a pipeline. `facts` belong to the operators at their places.
    pub(crate) fn new(meta: &PipelineMeta, facts: &[(OpMeta, Fact)]) -> PipelinePlan {
        let operators = meta.operators.iter().zip(meta.places).enumerate();
        let operators = operators.map(|(id, (operator, place))| {
            let mut plan = OperatorPlan {
                id,
                operator: operator.operator.to_owned(),
                stream: operator.stream.map(str::to_owned),
                arguments: operator.arguments.to_owned(),
                name: None,
                kind: operator.kind,
                keeps: operator.keeps,
                window: None,
                partitions: None,
                inputs: operator.inputs.to_vec(),
                computed: operator.live,
                file: place.file.to_owned(),
                line: place.line,
                column: place.column,
            };
            for (_, fact) in facts.iter().filter(|(at, _)| at.is(place)) {
                match fact.clone() {
                    Fact::Name(name) => plan.name = Some(name),
                    Fact::Window(window) => plan.window = Some(window),
                    Fact::Partitions(partitions) => plan.partitions = Some(partitions),
                }
            }
            plan
        });
        let stages = meta.stages.iter().map(|stage| StagePlan {
            id: stage.id,
            reads: stage.root,
            operators: stage.operators.to_vec(),
        });
        PipelinePlan { id: 0, operators: operators.collect(), stages: stages.collect() }
    }
}
