//! The files of the page, which are part of the program.

use axum::{
    extract::Path,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    api::problem,
    embed::{self, Embed},
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $mime:expr,)*) => {
        static ASSETS: &[(&str, &str, &[u8])] = &[
            $(($name, $mime, include_bytes!(concat!("../assets/", $name))),)*
        ];
    };
}

assets! {
    "app.js": JS,
    "charts.js": JS,
    "dom.js": JS,
    "graph.js": JS,
    "icon.svg": SVG,
    "index.html": HTML,
    "pages.js": JS,
    "streaming.js": JS,
    "style.css": CSS,
    "uPlot.css": CSS,
    "uPlot.js": JS,
}

fn file(name: &str) -> Option<Response> {
    let (_, mime, bytes) = ASSETS.iter().find(|(asset, ..)| *asset == name)?;
    let headers: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, mime),
        (header::CONTENT_SECURITY_POLICY, embed::POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Some((headers, *bytes).into_response())
}

/// `GET /assets/{name}`.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    file(&name).unwrap_or_else(|| {
        problem(StatusCode::NOT_FOUND, format_args!("there is no file `{name}`")).into_response()
    })
}

/// The page, which finds out by itself what its path asks for.
pub(crate) async fn page() -> Response {
    file("index.html").unwrap_or_else(|| problem(StatusCode::NOT_FOUND, "there is no page").into_response())
}

/// The page where it shows dashboards, which other sites may be allowed to frame.
pub(crate) fn dashboard(embed: &Embed) -> Response {
    let mut response = file("index.html")
        .unwrap_or_else(|| problem(StatusCode::NOT_FOUND, "there is no page").into_response());
    if let Some(policy) = embed.policy() {
        response.headers_mut().remove(header::X_FRAME_OPTIONS);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
