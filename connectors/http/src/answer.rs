//! What a request is answered: a status, and a line that says why.

use dstream_core::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    header: Option<(HeaderName, HeaderValue)>,
    /// Whether the rest of the request may not be read.
    close: bool,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Answer {
        Answer { status, text: text.into(), header: None, close: false }
    }

    pub(crate) fn stored(records: u64) -> Answer {
        Answer::new(
            StatusCode::OK,
            if records == 1 {
                "1 record is stored".to_owned()
            } else {
                format!("{records} records are stored")
            },
        )
    }

    /// A body that makes no sense: it never will.
    pub(crate) fn bad(what: impl std::fmt::Display) -> Answer {
        Answer::new(StatusCode::BAD_REQUEST, format!("{what}; nothing of the body is stored"))
    }

    pub(crate) fn forbidden(text: &str) -> Answer {
        Answer::new(StatusCode::FORBIDDEN, text)
    }

    pub(crate) fn unauthorized(why: &str) -> Answer {
        Answer::new(StatusCode::UNAUTHORIZED, format!("{why}: send the header `Authorization: Bearer ..`"))
            .with(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// What may be sent again a little later.
    pub(crate) fn later(why: &str) -> Answer {
        Answer::new(StatusCode::SERVICE_UNAVAILABLE, format!("{why}: send it again later"))
            .with(header::RETRY_AFTER, "1")
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Answer {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// The connection is of no use any more: what is left of the body would be taken for a request.
    pub(crate) fn closing(mut self) -> Answer {
        self.close = true;
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.text + "\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}
