//! Rules that need the whole pipeline.

use proc_macro2::Span;

use crate::{
    ast::{Pipeline, Setting},
    diag::{Diags, did_you_mean, one_of},
    duration,
    expand::captures,
    graph::{Graph, Node, NodeKind},
    ops::{Arg, Keeps},
};

pub(crate) const SETTINGS: [&str; 6] = ["batch", "checkpoint", "forget", "name", "conf", "crate"];

/// Reports every broken rule.
pub(crate) fn check(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    settings(pipeline, diags);
    slides(pipeline, graph, diags);
    captured_streams(graph, diags);
    state(pipeline, graph, diags);
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
        } else if pipeline.context.is_some() && !matches!(name.as_str(), "name" | "crate") {
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

/// A closure sees one record, or one batch: there is no value that is another stream.
fn captured_streams(graph: &Graph, diags: &mut Diags) {
    for node in &graph.nodes {
        let NodeKind::Op { call, .. } = &node.kind else { continue };
        for word in call.args.iter().flat_map(captures::variables) {
            let mut streams = graph.nodes.iter().filter_map(|node| node.name.as_ref());
            if streams.any(|name| *name == word) {
                diags.error(
                    word.span(),
                    format_args!(
                        "`{word}` is a stream, which a closure can't look into: bring the two together with \
                         `join` or `transform_with`; a variable of this name needs another one"
                    ),
                );
            }
        }
    }
}

/// Windows are multiples of what they are cut from, and streams that meet slide alike. Values that only the
/// running program knows are checked when the context is built.
fn slides(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    let batch = pipeline.settings.iter().find(|setting| setting.name == "batch");
    let batch = batch.and_then(|setting| syn::parse2(setting.value.clone()).ok());
    let batch = batch.as_ref().and_then(duration::literal);
    for node in &graph.nodes {
        let NodeKind::Op { spec, call } = &node.kind else { continue };
        let slides: Vec<_> = node.inputs.iter().map(|input| graph.slide_millis(*input, batch)).collect();
        let Some(Some(parent)) = slides.first().copied() else { continue };
        if let Some(other) = slides.iter().flatten().find(|slide| **slide != parent) {
            diags.error(
                call.name.span(),
                format_args!(
                    "`{}` needs streams with the same slide, found {} and {}: put a `window` of the same \
                     slide on both",
                    spec.name,
                    text(parent),
                    text(*other)
                ),
            );
        }
        for (what, arg) in [
            ("window length", spec.find(call, |arg| matches!(arg, Arg::Length))),
            ("slide", spec.find(call, |arg| matches!(arg, Arg::Slide))),
        ] {
            if let Some((arg, found)) = arg.and_then(|arg| Some((arg, duration::literal(arg)?)))
                && found % parent != 0
            {
                let down = (found / parent).max(1) * parent;
                diags.error_at(
                    arg,
                    format_args!(
                        "the {what} must be a multiple of {}, the slide of the stream: found {}, possible \
                         are {} and {}",
                        text(parent),
                        text(found),
                        text(down),
                        text(down + parent)
                    ),
                );
            }
        }
    }
}

/// Milliseconds as they would be written.
fn text(millis: u64) -> String {
    match millis {
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}min", m / 60_000),
        m if m % 1_000 == 0 => format!("{}s", m / 1_000),
        m => format!("{m}ms"),
    }
}

/// State that no checkpoint saves would be lost at the first stop.
fn state(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    // A context that is made already, and a `Config`, may have one: then the start says so.
    let may_have_one = |setting: &Setting| setting.name == "checkpoint" || setting.name == "conf";
    if pipeline.context.is_some() || pipeline.settings.iter().any(may_have_one) {
        return;
    }
    for node in &graph.nodes {
        if let NodeKind::Op { spec, call } = &node.kind
            && matches!(spec.keeps(call), Keeps::State | Keeps::Snapshots | Keeps::Model)
        {
            diags.error(
                call.name.span(),
                format_args!(
                    "`{}` keeps state, which a checkpoint must save: add `checkpoint = \"folder\"` \
                     to the settings",
                    spec.name
                ),
            );
        }
    }
}

fn has_output(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    if graph.nodes.iter().any(Node::acts) {
        return;
    }
    let last = graph.nodes.iter().rev().find_map(|node| node.name.as_ref());
    diags.error(
        last.map_or(pipeline.block, |name| -> Span { name.span() }),
        "this pipeline has no output, so it would do nothing: end a stream in `.print()`, `.foreach_rdd(..)` \
         or another output",
    );
}
