//! Events for browsers, as they happen.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::State,
    response::{
        IntoResponse,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use dstream_core::events::Event;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use crate::{
    Shared,
    api::own::row,
    model::{Model, millis},
};

/// How many events wait for a client, at most. One that is further behind is dropped: its browser connects
/// anew and asks for what is there.
const CAPACITY: usize = 256;

/// Sends what happens to all clients that listen.
#[derive(Debug)]
pub(crate) struct Live {
    sender: Sender<Message>,
    next: AtomicU64,
}

#[derive(Debug, Clone)]
struct Message {
    id: u64,
    name: &'static str,
    data: Arc<str>,
}

impl Live {
    pub(crate) fn new() -> Live {
        Live { sender: Sender::new(CAPACITY), next: AtomicU64::new(0) }
    }

    /// Tells the clients of an event, which `model` knows of already.
    pub(crate) fn send(&self, model: &Model, event: &Event) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        if let Some((name, data)) = message(model, event) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            // Without clients there is nothing to do.
            let _ = self.sender.send(Message { id, name, data: data.to_string().into() });
        }
    }
}

/// The name of an event, and its data.
fn message(model: &Model, event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::BatchPlanned(_) | Event::BatchStarted(_) => {
            ("waiting", json!({ "running": model.running.is_some(), "waiting": model.waiting.len() }))
        }
        Event::BatchCompleted(_) => {
            let batch = model.completed.back()?;
            let sources = batch.inputs.iter().map(|input| (input.source.clone(), json!(input.records)));
            let sources: serde_json::Map<String, Value> = sources.collect();
            (
                "batch",
                json!({
                    "time": batch.time,
                    "row": row(batch),
                    "sources": sources,
                    "completed": model.completed_ever,
                }),
            )
        }
        Event::ChartUpdated(updated) => {
            let chart = model.charts.iter().find(|chart| chart.info.id == updated.chart.id)?;
            (
                "chart",
                json!({ "id": chart.info.id, "chart": chart.info, "batch": chart.batch, "data": chart.data }),
            )
        }
        Event::ReceiverStarted(started) => ("receiver", json!({ "source": started.source, "active": true })),
        Event::ReceiverFailed(failed) => {
            ("receiver", json!({ "source": failed.source, "active": false, "error": failed.error }))
        }
        Event::ReceiverStopped(stopped) => ("receiver", json!({ "source": stopped.source, "active": false })),
        Event::CheckpointWritten(written) => {
            let elapsed = millis(written.elapsed);
            ("checkpoint", json!({ "batch": written.batch, "bytes": written.bytes, "elapsed": elapsed }))
        }
        Event::Reported(reported) => ("report", json!({ "at": model.now, "error": reported.error })),
        Event::ContextStopped(stopped) => ("stopped", json!({ "at": stopped.at, "error": stopped.error })),
        _ => return None,
    })
}

/// `GET /api/v1/events`.
pub(crate) async fn events(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(messages(shared.live.sender.subscribe())).keep_alive(alive)
}

/// Ends when the client is too far behind.
fn messages(receiver: Receiver<Message>) -> impl Stream<Item = Result<SseEvent, Infallible>> {
    let first = SseEvent::default().event("hello").retry(Duration::from_secs(1)).data("{}");
    let rest = stream::unfold(receiver, |mut receiver: broadcast::Receiver<Message>| async move {
        match receiver.recv().await {
            Ok(Message { id, name, data }) => {
                Some((Ok(SseEvent::default().id(id.to_string()).event(name).data(&*data)), receiver))
            }
            Err(RecvError::Lagged(_) | RecvError::Closed) => None,
        }
    });
    futures_util::StreamExt::chain(stream::once(async { Ok(first) }), rest)
}
