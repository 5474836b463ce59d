//! Signature version 4 of AWS: what proves to the service who has sent a request.

use std::{fmt, fmt::Write as _, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Who a program is at AWS. Printed, it shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// Of temporary credentials.
    pub(crate) session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A request with all that is signed of it. The path has no characters that would have to be escaped, and
/// there is no query: the service has one path.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Names in lower case, sorted.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// Where a signature is valid.
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// A time as signatures have it, `20150830T123600Z`, of the time since the epoch.
pub(crate) fn stamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    // Days since the first of March of the year 0, by Howard Hinnant's `civil_from_days`.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The value of the header `Authorization`. `stamp` is that of the header `X-Amz-Date`.
pub(crate) fn authorization(
    request: &Request<'_>,
    scope: &Scope<'_>,
    credentials: &Credentials,
    stamp: &str,
) -> String {
    let mut canonical = format!("{}\n{}\n\n", request.method, request.path);
    for (name, value) in request.headers {
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(request.body)));

    let date = stamp.get(..8).unwrap_or(stamp);
    let Scope { region, service } = scope;
    let place = format!("{date}/{region}/{service}/aws4_request");
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{place}\n{hashed}");

    let mut key = mac(format!("AWS4{}", credentials.secret_key).as_bytes(), date);
    for part in [region, service, "aws4_request", &text] {
        key = mac(&key, part);
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{place}, SignedHeaders={names}, Signature={}",
        credentials.access_key,
        hex(&key)
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "20150830T123600Z";
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrDoW..";

    fn credentials() -> Credentials {
        Credentials {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        }
    }

    /// The signed headers and the signature of a request of AWS's test suite.
    fn signature(method: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
        let request = Request { method, path: "/", headers, body: body.as_bytes() };
        let scope = Scope { region: "us-east-1", service: "service" };
        let value = authorization(&request, &scope, &credentials(), STAMP);
        let start =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
        let rest = value.strip_prefix(start).unwrap();
        let (names, signature) = rest.split_once(", Signature=").unwrap();
        (names.to_owned(), signature.to_owned())
    }

    /// From the published suite `aws-sig-v4-test-suite`, of the requests of a kind that is sent here.
    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        let host = ("host", "example.amazonaws.com");
        let date = ("x-amz-date", STAMP);
        let found = [
            ("get-vanilla", signature("GET", &[host, date], "")),
            ("post-vanilla", signature("POST", &[host, date], "")),
            ("post-header-key-sort", signature("POST", &[host, ("my-header1", "value1"), date], "")),
            (
                "post-x-www-form-urlencoded",
                signature(
                    "POST",
                    &[("content-type", "application/x-www-form-urlencoded"), host, date],
                    "Param1=value1",
                ),
            ),
        ];
        let expected = [
            ("host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "host;my-header1;x-amz-date",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            (
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for ((name, (names, signature)), expected) in found.iter().zip(expected) {
            assert_eq!((names.as_str(), signature.as_str()), expected, "{name}");
        }
    }

    #[test]
    fn a_time_is_written_as_a_date() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_440_938_160, STAMP),
            (1_796_083_199, "20261130T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(stamp(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn credentials_show_no_secret() {
        let credentials = Credentials { session_token: Some(TOKEN.into()), ..credentials() };
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("AQoD"), "{shown}");
    }
}
