//! The resources of the original's API, under their names.

use std::collections::HashMap;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use dstream_core::Time;
use serde_json::{Value, json};

use super::{Page, no_such_batch, problem, read, time};
use crate::model::{BatchRecord, Model, OutputRecord, SourceRecord, Status, millis};

/// As in `2026-11-28T05:30:00.000GMT`.
fn gmt(time: Time) -> Value {
    let at = i64::try_from(time.as_millis()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or(Value::Null, |at| json!(at.strftime("%Y-%m-%dT%H:%M:%S.%3fGMT").to_string()))
}

/// `GET /api/v1/streaming/statistics`.
pub(crate) async fn statistics(State(shared): Page) -> Response {
    read(&shared, |model| {
        let interval = model.plan.batch_interval;
        let receivers = || model.sources.iter().filter(|source| source.receiver);
        let active = receivers().filter(|source| source.active).count();
        let delay = |delay: fn(&BatchRecord) -> Option<std::time::Duration>| {
            model.mean(|batch| delay(batch).map_or(0.0, millis))
        };
        let rate = model.mean(|batch| batch.records() as f64 / interval.as_secs_f64().max(1e-3));
        Ok(json!({
            "startTime": model.started_at.map(gmt),
            "batchDuration": interval.as_millis() as u64,
            "numReceivers": receivers().count(),
            "numActiveReceivers": active,
            "numInactiveReceivers": receivers().count() - active,
            "numTotalCompletedBatches": model.completed_ever,
            "numRetainedCompletedBatches": model.completed.len(),
            "numActiveBatches": model.active().count(),
            "numProcessedRecords": model.records,
            "numReceivedRecords": model.records,
            "avgInputRate": rate,
            "avgSchedulingDelay": delay(|batch| batch.scheduling_delay),
            "avgProcessingTime": delay(|batch| batch.processing_time),
            "avgTotalDelay": delay(|batch| batch.total_delay),
        }))
    })
}

/// `GET /api/v1/streaming/receivers`: all sources, those without a thread of their own, too.
pub(crate) async fn receivers(State(shared): Page) -> Response {
    read(&shared, |model| {
        Ok(model.sources.iter().enumerate().map(|(id, source)| source_of(model, id, source)).collect())
    })
}

/// `GET /api/v1/streaming/receivers/{id}`.
pub(crate) async fn receiver(State(shared): Page, Path(id): Path<String>) -> Response {
    read(&shared, |model| {
        let at = id.parse::<usize>().map_err(|_| {
            problem(
                StatusCode::BAD_REQUEST,
                format_args!("`{id}` is no source: its number is expected, from 0"),
            )
        })?;
        let source = model.sources.get(at).ok_or_else(|| {
            let count = model.sources.len();
            problem(StatusCode::NOT_FOUND, format_args!("there is no source {at}: this program has {count}"))
        })?;
        Ok(source_of(model, at, source))
    })
}

fn source_of(model: &Model, id: usize, source: &SourceRecord) -> Value {
    let seconds = model.plan.batch_interval.as_secs_f64().max(1e-3);
    let batches = model.completed.iter();
    let rates: Vec<(Time, f64)> =
        batches.map(|batch| (batch.time, batch.records_of(&source.name) as f64 / seconds)).collect();
    let mean =
        (!rates.is_empty()).then(|| rates.iter().map(|(_, rate)| rate).sum::<f64>() / rates.len() as f64);
    let (at, error) =
        source.last_error.as_ref().map_or((None, None), |(at, error)| (Some(at.as_millis()), Some(error)));
    json!({
        "streamId": id,
        "streamName": source.name,
        "isActive": source.active,
        "executorId": "driver",
        "executorHost": "localhost",
        "lastErrorTime": at,
        "lastErrorMessage": error,
        "lastError": error,
        "avgEventRate": mean,
        "eventRates": rates,
    })
}

/// `GET /api/v1/streaming/batches`, the newest first; with `?status=`, those in this state.
pub(crate) async fn batches(State(shared): Page, Query(query): Query<HashMap<String, String>>) -> Response {
    read(&shared, |model| {
        let wanted = match query.get("status").map(|status| status.to_ascii_uppercase()) {
            None => None,
            Some(word) => Some(
                [Status::Queued, Status::Processing, Status::Completed]
                    .into_iter()
                    .find(|status| status.word() == word)
                    .ok_or_else(|| {
                        problem(
                            StatusCode::BAD_REQUEST,
                            format_args!(
                                "`{word}` is no status: it is `queued`, `processing` or `completed`"
                            ),
                        )
                    })?,
            ),
        };
        let active: Vec<&BatchRecord> = model.active().collect();
        let newest = active.into_iter().rev().chain(model.completed.iter().rev().map(|batch| &**batch));
        let of_status = newest.filter(|batch| wanted.is_none_or(|status| batch.status == status));
        Ok(of_status.map(|batch| batch_of(model, batch)).collect())
    })
}

/// `GET /api/v1/streaming/batches/{time}`.
pub(crate) async fn batch(State(shared): Page, Path(at): Path<String>) -> Response {
    read(&shared, |model| {
        let at = time(&at)?;
        model.batch(at).map(|batch| batch_of(model, batch)).ok_or_else(|| no_such_batch(at))
    })
}

fn batch_of(model: &Model, batch: &BatchRecord) -> Value {
    let (done, failed) = batch.outputs_done();
    let failure = batch.outputs.iter().find_map(|output| output.error.as_ref());
    let total = match batch.status {
        Status::Completed => batch.outputs.len(),
        _ => model.plan.pipelines.iter().map(|pipeline| pipeline.outputs().count()).sum::<usize>(),
    };
    json!({
        "batchId": batch.time,
        "batchTime": gmt(batch.time),
        "status": batch.status.word(),
        "batchDuration": model.plan.batch_interval.as_millis() as u64,
        "inputSize": batch.records(),
        "schedulingDelay": batch.scheduling_delay.map(millis),
        "processingTime": batch.processing_time.map(millis),
        "totalDelay": batch.total_delay.map(millis),
        "numActiveOutputOps": batch.outputs.len() - done - failed,
        "numCompletedOutputOps": done,
        "numFailedOutputOps": failed,
        "numTotalOutputOps": total,
        "firstFailureReason": failure,
    })
}

/// `GET /api/v1/streaming/batches/{time}/operations`.
pub(crate) async fn operations(State(shared): Page, Path(at): Path<String>) -> Response {
    read(&shared, |model| {
        let at = time(&at)?;
        let batch = model.batch(at).ok_or_else(|| no_such_batch(at))?;
        Ok(batch.outputs.iter().enumerate().map(|(id, output)| output_of(batch, id, output)).collect())
    })
}

/// `GET /api/v1/streaming/batches/{time}/operations/{id}`.
pub(crate) async fn operation(State(shared): Page, Path((at, id)): Path<(String, String)>) -> Response {
    read(&shared, |model| {
        let at = time(&at)?;
        let batch = model.batch(at).ok_or_else(|| no_such_batch(at))?;
        let number = id.parse::<usize>().ok();
        let output = number.and_then(|id| Some((id, batch.outputs.get(id)?)));
        output.map(|(id, output)| output_of(batch, id, output)).ok_or_else(|| {
            let count = batch.outputs.len();
            problem(
                StatusCode::NOT_FOUND,
                format_args!("there is no output `{id}`: this batch has {count}, from 0"),
            )
        })
    })
}

fn output_of(batch: &BatchRecord, id: usize, output: &OutputRecord) -> Value {
    let end = output.started_at.zip(output.elapsed).map(|(at, elapsed)| {
        Time::from_millis(
            at.as_millis().saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        )
    });
    let status = match (&output.elapsed, &output.error) {
        (None, _) => "PROCESSING",
        (Some(_), Some(_)) => "FAILED",
        (Some(_), None) => "SUCCEEDED",
    };
    json!({
        "batchId": batch.time,
        "outputOpId": id,
        "outputOpName": output.name,
        "outputOpDescription": output.name,
        "startTime": output.started_at.map(gmt),
        "endTime": end.map(gmt),
        "duration": output.elapsed.map(millis),
        "status": status,
        "errorMessage": output.error,
    })
}
