//! The addresses of the page, and what is there.

mod look_up;
pub(crate) mod original;
pub(crate) mod own;

use std::{fmt, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use dstream_core::Time;
use serde_json::{Value, json};

use crate::{
    Shared,
    access::{self, Access},
    assets,
    embed::Embed,
    live,
    model::Model,
};

/// What a handler needs.
type Page = State<Arc<Shared>>;

/// All addresses.
pub(crate) fn router(shared: Arc<Shared>, access: Access, embed: Embed) -> Router {
    let original = Router::new()
        .route("/statistics", get(original::statistics))
        .route("/receivers", get(original::receivers))
        .route("/receivers/{id}", get(original::receiver))
        .route("/batches", get(original::batches))
        .route("/batches/{time}", get(original::batch))
        .route("/batches/{time}/operations", get(original::operations))
        .route("/batches/{time}/operations/{id}", get(original::operation));
    let api = Router::new()
        .nest("/streaming", original)
        .route("/app", get(own::app))
        .route("/timeline", get(own::timeline))
        .route("/batches/{time}", get(own::batch))
        .route("/operators", get(own::operators))
        .route("/kept", get(own::kept))
        .route("/kept/look_up", get(look_up::look_up))
        .route("/checkpoints", get(own::checkpoints))
        .route("/charts", get(own::charts))
        .route("/charts/{id}", get(own::chart))
        .route("/reports", get(own::reports))
        .route("/events", get(live::events));
    let mut pages = Router::new().nest("/api/v1", api).route("/assets/{name}", get(assets::asset));
    for path in ["/", "/batches/{time}", "/graph", "/state", "/settings"] {
        pages = pages.route(path, get(assets::page));
    }
    for path in ["/dashboard", "/dashboard/{id}"] {
        let embed = embed.clone();
        pages = pages.route(path, get(async move || assets::dashboard(&embed)));
    }
    pages
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(access, access::check))
        .with_state(shared)
}

async fn unknown(uri: Uri) -> Problem {
    problem(
        StatusCode::NOT_FOUND,
        format_args!("there is nothing at `{}`: see docs/watching.md for what there is", uri.path()),
    )
}

async fn other_method() -> Problem {
    problem(StatusCode::METHOD_NOT_ALLOWED, "everything here is read alone: use GET")
}

/// An answer that says what is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    what: String,
}

pub(crate) fn problem(status: StatusCode, what: impl fmt::Display) -> Problem {
    Problem { status, what: what.to_string() }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.what }))).into_response()
    }
}

/// What a resource gives of the model, which is free again before the answer is written.
fn read(shared: &Shared, resource: impl FnOnce(&Model) -> Result<Value, Problem>) -> Response {
    let found = shared.model().as_ref().map(resource);
    let found = found
        .unwrap_or_else(|| Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the context has not started yet")));
    found.map(Json).into_response()
}

/// The time of a batch, as it stands in an address.
fn time(text: &str) -> Result<Time, Problem> {
    text.parse().map(Time::from_millis).map_err(|_| {
        problem(
            StatusCode::BAD_REQUEST,
            format_args!("`{text}` is no batch: its time is expected, in milliseconds since 1970"),
        )
    })
}

fn no_such_batch(time: Time) -> Problem {
    problem(
        StatusCode::NOT_FOUND,
        format_args!("there is no batch {}: it is not there yet, or is kept no longer", time.as_millis()),
    )
}
