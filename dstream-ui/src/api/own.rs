//! The resources that the page reads, beyond those of the original. Times and durations are milliseconds.

use std::collections::HashMap;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use dstream_core::{Time, events::InputInfo};
use serde_json::{Map, Value, json};

use super::{Page, no_such_batch, problem, read, time};
use crate::model::{BatchRecord, ChartRecord, OutputRecord, millis};

/// `GET /api/v1/app`: the program, and what it does in each batch.
pub(crate) async fn app(State(shared): Page) -> Response {
    read(&shared, |model| {
        let behind = model.behind.as_ref();
        let behind = behind.map(|it| json!({ "delay": millis(it.delay), "waiting": it.waiting }));
        Ok(json!({
            "name": model.plan.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": model.started_at,
            "now": model.now,
            "stopped_at": model.stopped_at,
            "state": if model.stopped_at.is_some() { "stopped" } else { "running" },
            "error": model.error,
            "batch_interval": millis(model.plan.batch_interval),
            "completed": model.completed_ever,
            "records": model.records,
            "running": model.running.is_some(),
            "waiting": model.waiting.len(),
            "behind": behind,
            "dropped_events": model.dropped_events,
            "plan": model.plan,
        }))
    })
}

/// A batch as a point of the page's charts: time, records, delays, whether it failed, and how many of its
/// outputs are done.
pub(crate) fn row(batch: &BatchRecord) -> Value {
    let (done, _) = batch.outputs_done();
    json!([
        batch.time,
        batch.records(),
        batch.scheduling_delay.map(millis),
        batch.processing_time.map(millis),
        batch.total_delay.map(millis),
        u8::from(batch.error.is_some()),
        done,
        batch.outputs.len(),
    ])
}

/// `GET /api/v1/timeline`: all batches that are kept, the oldest first; with `?after=`, those after a time.
pub(crate) async fn timeline(State(shared): Page, Query(query): Query<HashMap<String, String>>) -> Response {
    read(&shared, |model| {
        let after = query.get("after").map(|after| time(after)).transpose()?;
        let newer = |at: Time| after.is_none_or(|after| at > after);
        let batches: Value =
            model.completed.iter().filter(|batch| newer(batch.time)).map(|batch| row(batch)).collect();
        let mut sources = Map::new();
        for source in &model.sources {
            let batches = model.completed.iter().filter(|batch| newer(batch.time));
            let records: Value =
                batches.map(|batch| json!([batch.time, batch.records_of(&source.name)])).collect();
            sources.insert(source.name.clone(), records);
        }
        Ok(json!({ "batches": batches, "sources": sources }))
    })
}

/// `GET /api/v1/batches/{time}`: all of one batch.
pub(crate) async fn batch(State(shared): Page, Path(at): Path<String>) -> Response {
    read(&shared, |model| {
        let at = time(&at)?;
        let batch = model.batch(at).ok_or_else(|| no_such_batch(at))?;
        let stages = batch.stages.iter().map(|stage| {
            let pipeline = model.plan.pipelines.get(stage.pipeline);
            let planned = pipeline.and_then(|pipeline| pipeline.stages.get(stage.stage));
            let operators = planned.into_iter().flat_map(|planned| &planned.operators);
            let names: Vec<&str> =
                operators.filter_map(|at| Some(pipeline?.operators.get(*at)?.operator.as_str())).collect();
            json!({
                "pipeline": stage.pipeline,
                "stage": stage.stage,
                "operators": names,
                "tasks": stage.tasks,
                "blocks": stage.blocks,
                "records": stage.records,
                "elapsed": millis(stage.elapsed),
                "busy": millis(stage.busy),
                "error": stage.error,
            })
        });
        Ok(json!({
            "time": batch.time,
            "status": batch.status.word(),
            "planned_at": batch.planned_at,
            "started_at": batch.started_at,
            "completed_at": batch.completed_at,
            "scheduling_delay": batch.scheduling_delay.map(millis),
            "processing_time": batch.processing_time.map(millis),
            "total_delay": batch.total_delay.map(millis),
            "records": batch.records(),
            "inputs": batch.inputs.iter().map(input_of).collect::<Value>(),
            "outputs": batch.outputs.iter().map(output_of).collect::<Value>(),
            "stages": stages.collect::<Value>(),
            "error": batch.error,
        }))
    })
}

fn input_of(input: &InputInfo) -> Value {
    json!({
        "source": input.source,
        "blocks": input.blocks,
        "bytes": input.bytes,
        "records": input.records,
        "limit": input.limit,
        "details": input.details,
    })
}

fn output_of(output: &OutputRecord) -> Value {
    json!({
        "output": output.name,
        "started_at": output.started_at,
        "elapsed": output.elapsed.map(millis),
        "records": output.records,
        "attempts": output.attempts,
        "error": output.error,
    })
}

/// `GET /api/v1/operators`: live figures of each operator that has some.
pub(crate) async fn operators(State(shared): Page) -> Response {
    read(&shared, |model| {
        let all = model.operators.busy_millis();
        let mut operators = Vec::new();
        for pipeline in &model.plan.pipelines {
            for op in &pipeline.operators {
                let stage = pipeline.stages.iter().find(|stage| stage.reads == op.id);
                let figures = stage.map(|stage| model.operators.get(pipeline.id, stage.id));
                let kept = model.kept.iter().find(|kept| Some(&kept.operator) == op.name.as_ref());
                if figures.is_none() && kept.is_none() {
                    continue;
                }
                operators.push(json!({
                    "pipeline": pipeline.id,
                    "operator": op.id,
                    "records_per_second": figures.map(|figures| figures.records_per_second),
                    "busy": figures.map(|figures| figures.busy_millis),
                    "share": figures.map(|figures| if all > 0.0 { figures.busy_millis / all } else { 0.0 }),
                    "keys": kept.and_then(|kept| kept.keys),
                }));
            }
        }
        Ok(Value::Array(operators))
    })
}

/// `GET /api/v1/kept`: what is kept between batches.
pub(crate) async fn kept(State(shared): Page) -> Response {
    read(&shared, |model| {
        let all = model.plan.pipelines.iter().flat_map(|pipeline| &pipeline.operators);
        let of = |name: &str| all.clone().find(|op| op.name.as_deref() == Some(name));
        let kept = model.kept.iter().map(|kept| {
            let op = of(&kept.operator);
            let window = op.and_then(|op| op.window);
            let window = window.map(|w| json!({ "length": millis(w.length), "slide": millis(w.slide) }));
            json!({
                "operator": kept.operator,
                "kind": op.map(|op| op.operator.as_str()),
                "keeps": op.map(|op| op.keeps),
                "window": window,
                "keys": kept.keys,
                "estimated_bytes": kept.estimated_bytes,
                "oldest": kept.oldest,
            })
        });
        Ok(kept.collect())
    })
}

/// `GET /api/v1/checkpoints`: the newest ones, the newest first.
pub(crate) async fn checkpoints(State(shared): Page) -> Response {
    read(&shared, |model| {
        let recent = model.checkpoints.iter().rev().map(|written| {
            json!({ "batch": written.batch, "bytes": written.bytes, "elapsed": millis(written.elapsed) })
        });
        Ok(json!({
            "place": model.plan.checkpoint,
            "count": model.checkpoints_ever,
            "bytes": model.checkpoint_bytes,
            "recent": recent.collect::<Value>(),
        }))
    })
}

/// `GET /api/v1/charts`: the charts that have had a batch.
pub(crate) async fn charts(State(shared): Page) -> Response {
    read(&shared, |model| Ok(model.charts.iter().map(chart_of).collect()))
}

/// `GET /api/v1/charts/{id}`.
pub(crate) async fn chart(State(shared): Page, Path(id): Path<String>) -> Response {
    read(&shared, |model| {
        model.charts.iter().find(|chart| chart.info.id == id).map(chart_of).ok_or_else(|| {
            problem(
                StatusCode::NOT_FOUND,
                format_args!("there is no chart `{id}`, or it has had no batch yet"),
            )
        })
    })
}

fn chart_of(chart: &ChartRecord) -> Value {
    let history = chart.history.iter().map(|(batch, data)| json!([batch, data]));
    json!({
        "id": chart.info.id,
        "title": chart.info.title,
        "kind": chart.info.kind,
        "unit": chart.info.unit,
        "batch": chart.batch,
        "data": chart.data,
        "history": history.collect::<Value>(),
    })
}

/// `GET /api/v1/reports`: errors that have failed no batch, the newest first.
pub(crate) async fn reports(State(shared): Page) -> Response {
    read(&shared, |model| {
        let newest = model.reports.iter().rev();
        Ok(newest.map(|(at, error)| json!({ "at": at, "error": error })).collect())
    })
}
