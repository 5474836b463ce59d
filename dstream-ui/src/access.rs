//! Who may see the page.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dstream_core::{Error, Result};

use crate::api::problem;

/// The cookie of a page has its port in the name: browsers send cookies to all ports of a host, and there may
/// be a program on each.
fn cookie_name(address: SocketAddr) -> String {
    format!("dstream_token_{}", address.port())
}

/// What a request must have.
#[derive(Clone)]
pub(crate) struct Access {
    token: Option<Arc<str>>,
    address: SocketAddr,
    cookie: Arc<str>,
}

impl Access {
    /// An address that other hosts reach needs a token.
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Result<Access> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        match token {
            None if !address.ip().is_loopback() => Err(Error::Invalid(format!(
                "the web page at {address} could be read by everybody who reaches this host: \
                 give it a secret, `Ui::new(..).token(\"..\")`, or an address of this host alone, as \
                 127.0.0.1:4040"
            ))),
            Some(token) if token.is_empty() || !token.chars().all(fits) => Err(Error::Invalid(
                "the token of the web page must have letters, digits and `-._~` alone, and at least one, \
                 since it stands in addresses"
                    .to_owned(),
            )),
            token => Ok(Access { token: token.map(Arc::from), address, cookie: cookie_name(address).into() }),
        }
    }

    /// Whether the name by which the request calls this host is one of its own. A page of another site that
    /// has had its name point here would else be able to read this one.
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let own = self.address.ip().to_string();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "::1" || name == own
    }
}

/// Lets a request pass, or answers it.
pub(crate) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let Some(token) = access.token.as_deref() else {
        if access.knows_host(request.headers()) {
            return next.run(request).await;
        }
        let name =
            "it is not served under this name: use localhost or the address that the program has given";
        return problem(StatusCode::FORBIDDEN, name).into_response();
    };
    if sent(request.headers(), &access.cookie).any(|sent| equal(sent, token)) {
        return next.run(request).await;
    }
    match from_query(request.uri()) {
        Some((sent, rest)) if equal(sent, token) => {
            let cookie = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/", access.cookie);
            let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, rest)]).into_response();
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        _ => problem(
            StatusCode::UNAUTHORIZED,
            "a token is needed: open the page with `?token=..`, or send `Authorization: Bearer ..`",
        )
        .into_response(),
    }
}

/// The tokens that a request has in its headers.
fn sent<'a>(headers: &'a HeaderMap, cookie: &'a str) -> impl Iterator<Item = &'a str> {
    let text = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).filter_map(|value| value.strip_prefix("Bearer "));
    let cookies = text(header::COOKIE).flat_map(|value| value.split(';'));
    let cookies = cookies.filter_map(move |pair| pair.trim().strip_prefix(cookie)?.strip_prefix('='));
    bearer.chain(cookies)
}

/// The token in the query, and the address without it.
fn from_query(uri: &Uri) -> Option<(&str, String)> {
    let pairs = || uri.query().into_iter().flat_map(|query| query.split('&'));
    let token = pairs().find_map(|pair| pair.strip_prefix("token="))?;
    let others: Vec<&str> = pairs().filter(|pair| !pair.starts_with("token=")).collect();
    // `//host` would be another site.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    Some((token, if others.is_empty() { path } else { format!("{path}?{}", others.join("&")) }))
}

/// In a time that does not tell how much of it was right.
fn equal(sent: &str, token: &str) -> bool {
    let differ = sent.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    sent.len() == token.len() && differ == 0
}
