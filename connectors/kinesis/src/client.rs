//! Requests to the service: JSON, posted and signed.

use std::{
    error::Error as StdError,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dstream_core::{Error, Result};
use reqwest::{StatusCode, header};
use serde::Serialize;

use crate::{
    fault::Fault,
    settings::Resolved,
    sign::{Request, Scope, authorization, stamp},
};

/// The largest answer. A `GetRecords` has up to 10 MB of data, which are a third more in Base64, and up to
/// 10,000 records, whose keys and numbers come to a few hundred bytes each.
const MAX_ANSWER: usize = 48 << 20;
/// How long a connection, and a whole answer, may take.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// One stream's connection to the service. Its sockets belong to the runtime that it is used in.
pub(crate) struct Client {
    pub(crate) settings: Resolved,
    http: reqwest::Client,
}

/// What the service answers.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    /// The time at the service, in milliseconds since the epoch; the header has whole seconds.
    pub(crate) date: u64,
}

impl Client {
    pub(crate) fn new(settings: Resolved) -> Result<Client> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dstream/", env!("CARGO_PKG_VERSION")));
        match http.build() {
            Ok(http) => Ok(Client { settings, http }),
            Err(error) => Err(Error::Invalid(format!("can't set up HTTPS: {}", causes(&error)))),
        }
    }

    /// Calls an operation once.
    pub(crate) async fn call(&self, operation: &str, body: &impl Serialize) -> Result<Answer, Fault> {
        let body = serde_json::to_vec(body).map_err(|error| Fault::Fatal(error.to_string()))?;
        let Resolved { region, endpoint, host, credentials, .. } = &self.settings;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = stamp(since_epoch);
        let target = format!("Kinesis_20131202.{operation}");
        let mut headers = vec![("content-type", CONTENT_TYPE), ("host", host), ("x-amz-date", &stamp)];
        if let Some(token) = &credentials.session_token {
            headers.push(("x-amz-security-token", token));
        }
        headers.push(("x-amz-target", &target));
        let signed = Request { method: "POST", path: "/", headers: &headers, body: &body };
        let signature = authorization(&signed, &Scope { region, service: "kinesis" }, credentials, &stamp);

        // The client makes the header `Host` of the URL, as it is signed.
        let sent = headers.iter().filter(|(name, _)| *name != "host");
        let mut request = self.http.post(endpoint).header(header::AUTHORIZATION, signature);
        for (name, value) in sent {
            request = request.header(*name, *value);
        }
        let mut response = request.body(body).send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let date = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).unwrap_or(since_epoch);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + piece.len() > MAX_ANSWER {
                let what = format!("{endpoint} answers with more than {MAX_ANSWER} bytes: is it Kinesis?");
                return Err(Fault::Transient(what));
            }
            body.extend_from_slice(&piece);
        }
        if status == StatusCode::OK {
            return Ok(Answer { body, date: date.as_secs() * 1_000 });
        }
        Err(Fault::of_answer(operation, status.as_u16(), &body, &self.settings))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        let (endpoint, why) = (&self.settings.endpoint, causes(error));
        Fault::Transient(format!(
            "{endpoint} does not answer: {why}; is it reachable from here, and are the region and the endpoint right?"
        ))
    }
}

/// What an error came from, which its own text does not say.
fn causes(error: &dyn StdError) -> String {
    let mut text = String::new();
    let mut next = error.source().or(Some(error));
    while let Some(cause) = next {
        let what = cause.to_string();
        if !text.contains(&what) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&what);
        }
        next = cause.source();
    }
    text
}
