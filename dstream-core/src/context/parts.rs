//! What a pipeline adds to its context, under names that are fixed by the text of the program.
//!
//! A checkpoint finds the state of an operator, and whether an output has run, by name. So no name depends on
//! the order in which pipelines are added, and two of a kind never share one.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{hoisted::Operator, lifecycle::Lifecycle};
use crate::{
    Config, Error, Result,
    backpressure::OnBehind,
    batch::Pipeline,
    output::Output,
    plan::{OpMeta, PipelinePlan},
    source::AnyInput,
};

/// All that a pipeline is made of. It is added as a whole, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) pipeline: Option<Pipeline>,
    /// What it does, for people.
    pub(crate) plan: Option<PipelinePlan>,
    pub(crate) sources: Vec<SourcePart>,
    /// The operators that keep something from batch to batch, in the order of the program.
    pub(crate) operators: Vec<Operator>,
    pub(crate) outputs: Vec<Output>,
    /// Whether the pipeline does something without an output, too: it hands a stream out, or trains a model.
    pub(crate) acts: bool,
}

/// A source, and the name by which the log and the checkpoints know it.
pub(crate) struct SourcePart {
    pub(crate) name: String,
    pub(crate) op: OpMeta,
    pub(crate) input: Arc<dyn AnyInput>,
}

impl fmt::Debug for SourcePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourcePart").field("name", &self.name).field("op", &self.op).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// Adds a pipeline, unless it has an operator with the name of another one.
    pub(super) fn add(&mut self, mut parts: Parts) -> Result<()> {
        self.can_add("a pipeline")?;
        // A window that no checkpoint keeps is never looked for by its name.
        let is_kept = |operator: &&Operator| operator.has_state || self.checkpoint.is_some();
        let operators = self.operators.iter().chain(&parts.operators).filter(is_kept);
        if let Some((name, places)) = twice(operators.map(|operator| (&*operator.name, &operator.op))) {
            return Err(Error::Invalid(format!(
                "two operators of this context are called `{name}`, {places}: a checkpoint could not tell \
                 them apart. Give each pipeline a name of its own, which becomes part of theirs: \
                 `stream!(ssc, name = \"..\", {{ .. }})`"
            )));
        }
        for SourcePart { name, op, input } in parts.sources {
            let label = self.label(&name);
            let operators = parts.plan.iter_mut().flat_map(|plan| &mut plan.operators);
            for operator in operators.filter(|it| op.is_at(&it.file, it.line, it.column)) {
                operator.name = Some(label.clone());
            }
            input.set_label(label);
            self.source_names.push((name, op));
            self.inputs.push(input);
        }
        self.operators.extend(parts.operators);
        self.outputs.extend(parts.outputs);
        self.acts |= parts.acts;
        self.can_add("a pipeline")?.extend(parts.pipeline);
        let id = self.plans.len();
        self.plans.extend(parts.plan.map(|plan| PipelinePlan { id, ..plan }));
        Ok(())
    }

    /// What events and the plan call one more source: its name, with a number behind it if another source of
    /// the context has that, or the figures of the two could not be told apart.
    fn label(&self, name: &str) -> String {
        let taken = |label: &String| self.inputs.iter().any(|input| input.label() == label);
        let numbered = (2u64..).map(|number| format!("{name} ({number})"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|label| !taken(label))
            .unwrap_or_else(|| name.to_owned())
    }

    /// Refuses what can't be run, or could not be gone on with after a restart.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        if config.on_behind == OnBehind::Merge
            && let Some(Operator { name, op, .. }) = self.operators.first()
        {
            return Err(Error::Invalid(format!(
                "`{}` at {}:{} keeps something from batch to batch, `{name}`, and needs each batch: \
                 `OnBehind::Merge` is for pipelines without windows and state. Use `OnBehind::RunEach` for \
                 this one",
                op.name, op.file, op.line
            )));
        }
        if self.outputs.is_empty() && !self.acts {
            return Err(Error::Invalid(
                "the context has no output, so there is nothing to run: add one".into(),
            ));
        }
        let charts = self.outputs.iter().filter(|output| output.op.name == "dashboard");
        if let Some((name, places)) = twice(charts.map(|output| (&*output.name, &output.op))) {
            return Err(Error::Invalid(format!(
                "two charts of this context are called `{name}`, {places}: a page could not tell them apart. \
                 Name one of them with `.named(\"..\")` behind it, or their pipelines: `stream!(ssc, name \
                 = \"..\", {{ .. }})`"
            )));
        }
        if self.checkpoint.is_none() {
            let lost = |operator: &&Operator| operator.has_state && !self.volatile_state;
            return match self.operators.iter().find(lost) {
                Some(Operator { name, op, .. }) => Err(Error::Invalid(format!(
                    "`{}` at {}:{} keeps state, `{name}`, which would be lost at the first stop: give the \
                     context a checkpoint, with `StreamingContext::with_checkpoint(batch, \"folder\")` or \
                     `Config::checkpoint(\"folder\")`; where it may be lost, `Config::volatile_state(true)` \
                     says so",
                    op.name, op.file, op.line
                ))),
                None => Ok(()),
            };
        }
        let sources = self.source_names.iter().zip(&self.inputs);
        let kept = sources.filter(|(_, input)| input.keeps()).map(|((name, op), _)| (&**name, op));
        if let Some((name, places)) = twice(kept) {
            return Err(Error::Invalid(format!(
                "two sources of this context are called `{name}`, {places}: a checkpoint could not tell them \
                 apart. Name one of them with `.named(\"..\")` behind it, or their pipelines: `stream!(ssc, \
                 name = \"..\", {{ .. }})`"
            )));
        }
        if let Some((name, places)) = twice(self.outputs.iter().map(|output| (&*output.name, &output.op))) {
            return Err(Error::Invalid(format!(
                "two outputs of this context are called `{name}`, {places}: a checkpoint could not tell \
                 which of them has run. Name one of them with `.named(\"..\")` behind it, or their \
                 pipelines: `stream!(ssc, name = \"..\", {{ .. }})`"
            )));
        }
        Ok(())
    }
}

/// The first name that is there twice, and both places in words.
fn twice<'a>(named: impl Iterator<Item = (&'a str, &'a OpMeta)>) -> Option<(&'a str, String)> {
    let mut before = HashMap::new();
    for (name, op) in named {
        if let Some(first) = before.insert(name, op) {
            let places = if (first.file, first.line, first.column) == (op.file, op.line, op.column) {
                format!("both made by `{}` at {}:{}", op.name, op.file, op.line)
            } else {
                format!(
                    "`{}` at {}:{} and `{}` at {}:{}",
                    first.name, first.file, first.line, op.name, op.file, op.line
                )
            };
            return Some((name, places));
        }
    }
    None
}
