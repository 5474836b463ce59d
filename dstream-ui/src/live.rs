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
use dstream_core::Time;
use dstream_core::events::Event;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::{
    sync::{
        broadcast::{Receiver, Sender, error::RecvError},
        watch,
    },
    time::{Instant, sleep_until},
};

use crate::{
    Shared,
    api::own::row,
    model::{Model, millis},
};

/// How many events wait for a client, at most. One that is further behind is dropped: its browser connects
/// anew and asks for what is there.
const CAPACITY: usize = 256;

/// How often a client is told at most of how far a batch is: a batch may have many stages.
const PROGRESS: Duration = Duration::from_millis(200);

/// Sends what happens to all clients that listen.
#[derive(Debug)]
pub(crate) struct Live {
    sender: Sender<Message>,
    next: AtomicU64,
    /// The batch of which something is new. Of what a client misses, only the last is worth telling.
    progress: watch::Sender<Option<Time>>,
}

#[derive(Debug, Clone)]
struct Message {
    id: u64,
    name: &'static str,
    data: Arc<str>,
}

impl Live {
    pub(crate) fn new() -> Live {
        Live { sender: Sender::new(CAPACITY), next: AtomicU64::new(0), progress: watch::Sender::new(None) }
    }

    /// Tells the clients of an event, which `model` knows of already.
    pub(crate) fn send(&self, model: &Model, event: &Event) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        if let Some(batch) = progress(event) {
            self.progress.send_replace(Some(batch));
        }
        if let Some((name, data)) = message(model, event) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            // Without clients there is nothing to do.
            let _ = self.sender.send(Message { id, name, data: data.to_string().into() });
        }
    }
}

/// The batch that an event changes while it runs.
fn progress(event: &Event) -> Option<Time> {
    Some(match event {
        Event::BatchStarted(started) => started.batch,
        Event::StageCompleted(stage) => stage.batch,
        Event::OutputStarted(started) => started.batch,
        Event::OutputRetried(retried) => retried.batch,
        Event::OutputCompleted(completed) => completed.batch,
        _ => return None,
    })
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
    Sse::new(messages(shared.live.sender.subscribe(), shared.live.progress.subscribe())).keep_alive(alive)
}

/// What one client is told.
struct Client {
    messages: Receiver<Message>,
    progress: watch::Receiver<Option<Time>>,
    /// When it may be told of progress again.
    next: Instant,
}

impl Client {
    /// `None` when it is too far behind.
    async fn next(&mut self) -> Option<SseEvent> {
        let Client { messages, progress, next } = self;
        let progressed = async {
            sleep_until(*next).await;
            let changed = progress.changed().await;
            changed.ok().and_then(|()| *progress.borrow_and_update())
        };
        tokio::select! {
            biased;
            message = messages.recv() => match message {
                Ok(Message { id, name, data }) => {
                    Some(SseEvent::default().id(id.to_string()).event(name).data(&*data))
                }
                Err(RecvError::Lagged(_) | RecvError::Closed) => None,
            },
            batch = progressed => {
                *next = Instant::now() + PROGRESS;
                let batch = json!({ "batch": batch? });
                Some(SseEvent::default().event("progress").data(batch.to_string()))
            }
        }
    }
}

/// Ends when the client is too far behind.
fn messages(
    messages: Receiver<Message>,
    progress: watch::Receiver<Option<Time>>,
) -> impl Stream<Item = Result<SseEvent, Infallible>> {
    let first = SseEvent::default().event("hello").retry(Duration::from_secs(1)).data("{}");
    let client = Client { messages, progress, next: Instant::now() };
    let rest = stream::unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok(event), client))
    });
    futures_util::StreamExt::chain(stream::once(async { Ok(first) }), rest)
}
