//! The files of the page, which are part of the program.

use axum::{
    extract::Path,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::api::problem;

/// Nothing is loaded from elsewhere, and nothing runs that is not in these files.
const POLICY: &str = "default-src 'self'; frame-ancestors *; base-uri 'none'; form-action 'none'";

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
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, mime),
        (header::CONTENT_SECURITY_POLICY, POLICY),
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
