//! A plan as a graph, for programs that draw it.

use std::fmt::Write as _;

use super::{Keeps, OperatorKind, OperatorPlan, PipelinePlan, Plan};

impl Plan {
    /// The graph of the operators in the language of Graphviz: `dot -Tsvg` draws it. A box around operators
    /// is a stage.
    pub fn to_dot(&self) -> String {
        let mut text = format!("digraph {} {{\n  rankdir = LR;\n  node [shape = box];\n", quoted(&self.name));
        for pipeline in &self.pipelines {
            let id = |operator: usize| format!("p{}_{operator}", pipeline.id);
            for op in &pipeline.operators {
                let shape = match op.kind {
                    OperatorKind::Source => "cds",
                    OperatorKind::Output | OperatorKind::Handle => "note",
                    _ if op.keeps != Keeps::Nothing => "cylinder",
                    _ => "box",
                };
                let style = if op.computed { "" } else { ", style = dashed" };
                let (node, label) = (id(op.id), quoted(&label(op)));
                let _ = writeln!(text, "  {node} [label = {label}, shape = {shape}{style}];");
            }
            for stage in &pipeline.stages {
                let loops = members(pipeline, stage.id).map(id).collect::<Vec<_>>();
                if !loops.is_empty() {
                    let (p, n, nodes) = (pipeline.id, stage.id, loops.join("; "));
                    let _ =
                        writeln!(text, "  subgraph cluster_{p}_{n} {{ label = \"stage {n}\"; {nodes}; }}");
                }
            }
            for edge in pipeline.edges() {
                let _ = writeln!(text, "  {} -> {};", id(edge.from), id(edge.to));
            }
        }
        text + "}\n"
    }

    /// The graph of the operators in the language of Mermaid, which Markdown viewers draw. A box around
    /// operators is a stage.
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for pipeline in &self.pipelines {
            let id = |operator: usize| format!("p{}_{operator}", pipeline.id);
            for op in &pipeline.operators {
                let (open, close) = match op.kind {
                    OperatorKind::Source => ("([", "])"),
                    OperatorKind::Output | OperatorKind::Handle => (">", "]"),
                    _ if op.keeps != Keeps::Nothing => ("[(", ")]"),
                    _ => ("[", "]"),
                };
                let label = label(op).replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
                let _ = writeln!(text, "  {}{open}\"{label}\"{close}", id(op.id));
            }
            for stage in &pipeline.stages {
                let mut loops = members(pipeline, stage.id).map(id).peekable();
                if loops.peek().is_some() {
                    let (p, n) = (pipeline.id, stage.id);
                    let _ = writeln!(text, "  subgraph s{p}_{n} [stage {n}]");
                    loops.for_each(|node| {
                        let _ = writeln!(text, "    {node}");
                    });
                    text += "  end\n";
                }
            }
            for edge in pipeline.edges() {
                let _ = writeln!(text, "  {} --> {}", id(edge.from), id(edge.to));
            }
        }
        text
    }
}

/// The operators of a stage that are drawn inside of it: those of the loop, each in the first stage that has
/// it.
fn members(pipeline: &PipelinePlan, stage: usize) -> impl Iterator<Item = usize> {
    let (before, of) = pipeline.stages.split_at(stage);
    let operators = of.first().map(|stage| stage.operators.as_slice()).unwrap_or_default();
    operators.iter().copied().filter(move |id| {
        matches!(pipeline.operators[*id].kind, OperatorKind::Narrow | OperatorKind::Forward)
            && before.iter().all(|stage| !stage.operators.contains(id))
    })
}

/// `counts: reduce_by_key`.
fn label(op: &OperatorPlan) -> String {
    let what = match (&op.kind, &op.name) {
        (OperatorKind::Source, Some(name)) => name,
        _ => &op.operator,
    };
    match &op.stream {
        Some(stream) => format!("{stream}: {what}"),
        None => what.clone(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
