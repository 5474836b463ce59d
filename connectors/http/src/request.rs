//! One request: what it must be, its body, and what becomes of it.

use std::sync::Arc;

use dstream_core::{Bytes, receiver::ReceiverContext};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Body as _, Incoming},
    header,
};
use tokio::{sync::Semaphore, task, time};

use crate::{
    answer::Answer,
    format::{
        Format, count,
        private::{Body, Kind, Read, Refused},
    },
    source::Rules,
};

/// What all bodies that are being received may take, unless one alone may have more than a part of it.
const MIN_MEMORY: usize = 64 << 20;
/// Memory is counted in pieces of this size: a semaphore on some platforms has few permits.
const PIECE: usize = 1 << 10;

pub(crate) struct Requests<F: Format> {
    rules: Arc<Rules>,
    ctx: ReceiverContext<<F as Read>::Block>,
    /// A permit for each piece of a body that is not stored yet.
    memory: Arc<Semaphore>,
}

impl<F: Format> Requests<F> {
    pub(crate) fn new(rules: Arc<Rules>, ctx: ReceiverContext<<F as Read>::Block>) -> Requests<F> {
        let pieces = MIN_MEMORY.max(rules.limits.body.saturating_mul(4)) / PIECE;
        let memory = Arc::new(Semaphore::new(pieces.min(Semaphore::MAX_PERMITS)));
        Requests { rules, ctx, memory }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        if let Err(answer) =
            self.check(&head.method, head.uri.path(), &head.headers, body.size_hint().lower())
        {
            // Its body is not read.
            return if body.is_end_stream() { answer } else { answer.closing() };
        }
        let kind = kind(&head.headers);
        let received = time::timeout(self.rules.limits.patience, self.receive(body)).await;
        match received {
            Ok(Ok((bytes, _))) if bytes.is_empty() => {
                Answer::bad("the body is empty, expected lines of text or JSON")
            }
            Ok(Ok((bytes, held))) => {
                let ctx = self.ctx.clone();
                let stored = task::spawn_blocking(move || {
                    let answer = store::<F>(Body { bytes, kind }, &ctx);
                    drop(held);
                    answer
                });
                stored.await.unwrap_or_else(|panic| {
                    let text = "the program has failed at this body, nothing of it is stored";
                    tracing::error!("{text}: {panic}");
                    Answer::new(StatusCode::INTERNAL_SERVER_ERROR, text)
                })
            }
            Ok(Err(answer)) => answer.closing(),
            Err(_) => {
                let patience = self.rules.limits.patience;
                let text = format!("the body was not there after {patience:?}: send it faster, or in parts");
                Answer::new(StatusCode::REQUEST_TIMEOUT, text).closing()
            }
        }
    }

    /// What can be said before the body is read, of which only the length is known, if it is.
    fn check(&self, method: &Method, path: &str, headers: &HeaderMap, length: u64) -> Result<(), Answer> {
        self.rules.access.check_request(headers)?;
        if let Some(own) = &self.rules.path
            && own != path
        {
            return Err(Answer::new(StatusCode::NOT_FOUND, format!("nothing is taken here: post to {own}")));
        }
        if method != Method::POST {
            let text = format!("{method} is not taken here: send records by POST");
            return Err(Answer::new(StatusCode::METHOD_NOT_ALLOWED, text).with(header::ALLOW, "POST"));
        }
        if let Some(coding) = headers.get(header::CONTENT_ENCODING)
            && coding != "identity"
        {
            let text = format!("the body is compressed ({coding:?}), which is not taken: send it as it is");
            return Err(Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
                .with(header::ACCEPT_ENCODING, "identity"));
        }
        if media_type(headers).starts_with("multipart/") {
            let text = "forms with files are not taken: send text or JSON as the body itself";
            return Err(Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let limit = self.rules.limits.body as u64;
        if length > limit {
            return Err(self.too_large(length));
        }
        if self.ctx.is_stopping() {
            return Err(Answer::later("the program stops"));
        }
        Ok(())
    }

    fn too_large(&self, bytes: impl std::fmt::Display) -> Answer {
        let limit = self.rules.limits.body;
        let text = format!("the body has {bytes} bytes, and may have {limit}: send it in parts");
        Answer::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// The whole body, and the memory that it takes.
    async fn receive(&self, mut body: Incoming) -> Result<(Bytes, Option<Held>), Answer> {
        let mut bytes = Vec::new();
        let mut held: Option<Held> = None;
        while let Some(frame) = body.frame().await {
            let cut = |error| Answer::bad(format_args!("the body is cut off: {error}"));
            // What is no data is trailers, which say nothing here.
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            if bytes.len() + data.len() > self.rules.limits.body {
                return Err(self.too_large(format_args!("more than {}", bytes.len())));
            }
            bytes.extend_from_slice(&data);
            let have = held.as_ref().map_or(0, |held| held.num_permits());
            let need = u32::try_from(bytes.len().div_ceil(PIECE).saturating_sub(have)).unwrap_or(u32::MAX);
            match (Arc::clone(&self.memory).try_acquire_many_owned(need), &mut held) {
                (Ok(more), Some(held)) => held.merge(more),
                (Ok(first), none) => *none = Some(first),
                (Err(_), _) => return Err(Answer::later("too much is being sent at once")),
            }
        }
        Ok((bytes.into(), held))
    }
}

type Held = tokio::sync::OwnedSemaphorePermit;

/// Stores the records of a body: blocks until they are in the log.
fn store<F: Format>(body: Body, ctx: &ReceiverContext<<F as Read>::Block>) -> Answer {
    if let Err(error) = std::str::from_utf8(&body.bytes) {
        let at = error.valid_up_to();
        return Answer::bad(format_args!("the body is no text: its byte {at} does not fit UTF-8"));
    }
    let block = match F::read(body) {
        Ok(block) => block,
        Err(Refused(answer)) => return answer,
    };
    let records = count(&block);
    if records == 0 {
        // An empty array of JSON: there is nothing to keep.
        return Answer::stored(0);
    }
    match ctx.try_store_block(block) {
        Ok(true) => Answer::stored(records),
        Ok(false) if ctx.is_stopping() => Answer::later("the program stops"),
        Ok(false) => Answer::later("it could not be written to the program's log"),
        Err(_) => Answer::later("there is no room until a batch has been processed"),
    }
}

/// The type of the body, without its parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn kind(headers: &HeaderMap) -> Kind {
    let media_type = media_type(headers);
    match media_type.as_str() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines" => Kind::JsonLines,
        "application/json" | "text/json" => Kind::Json,
        other if other.ends_with("+json") => Kind::Json,
        _ => Kind::Other,
    }
}
