//! Who may send.

use std::net::SocketAddr;

use dstream_core::{Error, Result};
use hyper::{HeaderMap, header};

use crate::answer::Answer;

#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) token: Option<String>,
}

impl Access {
    /// What can be said of the token itself.
    pub(crate) fn check_token(&self) -> Result<()> {
        if self.token.as_ref().is_some_and(|t| t.is_empty() || !t.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::Invalid(
                "the token of http_stream must have visible ASCII characters alone, and at least one, since \
                 it stands in a header"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// An address that other hosts reach needs a token.
    pub(crate) fn check_address(&self, address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() || self.token.is_some() {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "http_stream at {address} would take what anybody sends who reaches this host: give it a secret, \
             `http_stream(..).token(\"..\")`, or an address of this host alone, as 127.0.0.1:8080"
        )))
    }

    /// Whether a request with these headers may be one of a sender.
    ///
    /// Without a token, a page of another site must not send by the browser of somebody on this host: it
    /// names itself as the origin, or has had its own name point here.
    pub(crate) fn check_request(&self, headers: &HeaderMap) -> std::result::Result<(), Answer> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match &self.token {
            Some(token) => match text(header::AUTHORIZATION).and_then(bearer) {
                Some(sent) if equal(sent, token) => Ok(()),
                Some(_) => Err(Answer::unauthorized("the token is a wrong one")),
                None => Err(Answer::unauthorized("a token is needed")),
            },
            None if !text(header::HOST).is_none_or(is_own_name) => Err(Answer::forbidden(
                "nothing is taken under this name: use localhost or the address that the program has given",
            )),
            None if !text(header::ORIGIN).is_none_or(is_own_origin) => {
                Err(Answer::forbidden("nothing is taken from pages of other sites: give the program a token"))
            }
            None => Ok(()),
        }
    }
}

/// The token of the header; the name of the scheme may be written in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_own_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_own_name(host))
}

/// Whether it is a name of the loopback interface, with or without a port.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// In a time that does not tell how much of it was right.
fn equal(sent: &str, token: &str) -> bool {
    let differ = sent.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    sent.len() == token.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, name: &'static str, value: &str) -> u16 {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        access.check_request(&headers).map_or_else(|answer| answer.status.as_u16(), |()| 200)
    }

    #[test]
    fn without_a_token_only_this_host_may_send() {
        let access = Access { token: None };
        for own in ["localhost", "LOCALHOST:1", "127.0.0.1:9464", "127.8.8.8", "[::1]:9464"] {
            assert_eq!(status(&access, "host", own), 200, "{own}");
            assert_eq!(status(&access, "origin", &format!("http://{own}")), 200, "{own}");
        }
        for other in ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1", ""] {
            assert_eq!(status(&access, "host", other), 403, "{other}");
            assert_eq!(status(&access, "origin", &format!("https://{other}")), 403, "{other}");
        }
        assert_eq!(status(&access, "origin", "null"), 403);
        assert!(access.check_address(([127, 0, 0, 1], 1).into()).is_ok());
        assert!(access.check_address(([0, 0, 0, 0], 1).into()).is_err());
    }

    #[test]
    fn a_token_must_be_sent_whole() {
        let access = Access { token: Some("secret".to_owned()) };
        access.check_token().and(access.check_address(([0, 0, 0, 0], 1).into())).unwrap();
        for right in ["Bearer secret", "bearer  secret"] {
            assert_eq!(status(&access, "authorization", right), 200, "{right}");
        }
        for wrong in ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secret1", "secret", "Basic secret"] {
            assert_eq!(status(&access, "authorization", wrong), 401, "{wrong}");
        }
        for bad in ["", "a b", "ä"] {
            assert!(Access { token: Some(bad.to_owned()) }.check_token().is_err(), "{bad}");
        }
    }
}
