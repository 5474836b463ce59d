//! Rules that need the whole pipeline.

use proc_macro2::Span;

use crate::{
    ast::Pipeline,
    diag::{Diags, did_you_mean, one_of},
    graph::Graph,
};

const SETTINGS: [&str; 3] = ["batch", "name", "conf"];

/// Reports every broken rule.
pub(crate) fn check(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    settings(pipeline, diags);
    // While something else is wrong, an output may only seem to be missing.
    if diags.is_empty() {
        has_output(pipeline, graph, diags);
    }
}

fn settings(pipeline: &Pipeline, diags: &mut Diags) {
    for (at, setting) in pipeline.settings.iter().enumerate() {
        let name = setting.name.to_string();
        let span = setting.name.span();
        if !SETTINGS.contains(&name.as_str()) {
            let mut hint = did_you_mean(&name, SETTINGS);
            if hint.is_empty() {
                hint = format!(": expected {}", one_of(SETTINGS));
            }
            diags.error(span, format_args!("unknown setting `{name}`{hint}"));
        } else if pipeline.context.is_some() {
            diags.error(
                span,
                format_args!("`{name}` belongs to the context, which is made already: remove it here"),
            );
        } else if pipeline.settings[..at].iter().any(|before| before.name == name) {
            diags.error(span, format_args!("setting `{name}` is given twice"));
        } else if setting.value.is_empty() {
            diags.error(span, format_args!("setting `{name}` has no value"));
        }
    }
    let batch = pipeline.settings.iter().any(|setting| setting.name == "batch");
    if pipeline.context.is_none() && !batch {
        // A setting that is spelled wrong has been reported.
        let misspelt =
            pipeline.settings.iter().any(|s| !did_you_mean(&s.name.to_string(), ["batch"]).is_empty());
        if !misspelt {
            diags.error(pipeline.block, "the batch interval is missing: `stream!(batch = 1s, { .. })`");
        }
    }
}

fn has_output(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    if graph.nodes.iter().any(|node| node.is_output()) {
        return;
    }
    let last = graph.nodes.iter().rev().find_map(|node| node.name.as_ref());
    diags.error(
        last.map_or(pipeline.block, |name| -> Span { name.span() }),
        "this pipeline has no output, so it would do nothing: end a stream in `.print()`, `.foreach_rdd(..)` or another output",
    );
}
