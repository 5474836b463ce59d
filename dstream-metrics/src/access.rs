//! Who may read the metrics.

use std::net::SocketAddr;

use dstream_core::{Error, Result};

pub(crate) struct Access {
    token: Option<String>,
    allow_remote: bool,
}

/// Why a request is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    NoToken,
    OtherHost,
}

impl Access {
    pub(crate) fn new(token: Option<&str>, allow_remote: bool) -> Result<Access> {
        if token.is_some_and(|token| token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::Invalid(
                "the token of the metrics must have visible ASCII characters alone, and at least one, \
                 since it stands in a header"
                    .to_owned(),
            ));
        }
        Ok(Access { token: token.map(str::to_owned), allow_remote })
    }

    /// An address that other hosts reach needs a token, or that the program allows it.
    pub(crate) fn check_address(&self, address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() || self.token.is_some() || self.allow_remote {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "the metrics at {address} could be read by everybody who reaches this host: give them a secret, \
             `Metrics::endpoint(..).token(\"..\")`, allow it, `.allow_remote()`, or take an address of this \
             host alone, as 127.0.0.1:9464"
        )))
    }

    /// Whether a request with these headers is answered.
    ///
    /// Without a token, the name by which it calls this host must be its own: a page of another site that has
    /// had its name point here could read the metrics, else.
    pub(crate) fn check_request(
        &self,
        host: Option<&str>,
        authorization: Option<&str>,
    ) -> Result<(), Refused> {
        match &self.token {
            Some(token) => match authorization.and_then(|value| value.strip_prefix("Bearer ")) {
                Some(sent) if equal(sent, token) => Ok(()),
                _ => Err(Refused::NoToken),
            },
            None if self.allow_remote || host.is_none_or(is_own_name) => Ok(()),
            None => Err(Refused::OtherHost),
        }
    }
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

    #[test]
    fn only_names_of_this_host_are_answered_without_a_token() {
        let access = Access::new(None, false).unwrap();
        for own in ["localhost", "LOCALHOST:1", "127.0.0.1:9464", "127.8.8.8", "[::1]:9464", "[::1]"] {
            assert_eq!(access.check_request(Some(own), None), Ok(()), "{own}");
        }
        for other in ["evil.example", "evil.example:9464", "localhost.evil.example", "10.0.0.1", ""] {
            assert_eq!(access.check_request(Some(other), None), Err(Refused::OtherHost), "{other}");
        }
    }

    #[test]
    fn a_token_must_be_sent_whole() {
        let access = Access::new(Some("secret"), true).unwrap();
        assert_eq!(access.check_request(Some("any.example"), Some("Bearer secret")), Ok(()));
        for wrong in [None, Some("Bearer "), Some("Bearer secre"), Some("Bearer secret1"), Some("secret")] {
            assert_eq!(access.check_request(Some("localhost"), wrong), Err(Refused::NoToken), "{wrong:?}");
        }
        assert!(Access::new(Some(""), false).is_err());
        assert!(Access::new(Some("a b"), false).is_err());
    }
}
