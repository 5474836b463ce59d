//! What the service answers in place of what was asked, and what can be done about it.

use serde::Deserialize;

use crate::settings::Resolved;

/// Why a request has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It would fail again: the program or its rights must be changed.
    Fatal(String),
    /// There is no such stream, or no such shard any more.
    Missing(String),
    /// It may succeed when it is repeated.
    Transient(String),
    /// Too many requests: it is repeated after a while.
    Throttled(String),
    /// The iterator is too old.
    IteratorExpired,
    /// The service does not take an argument: a sequence number that the stream has not given, or an
    /// iterator.
    Argument(String),
}

/// The body of an error.
#[derive(Default, Deserialize)]
struct Body {
    #[serde(rename = "__type", default)]
    code: Option<String>,
    #[serde(default, alias = "Message")]
    message: Option<String>,
}

/// How much of an answer a message repeats.
const SHOWN: usize = 300;

impl Fault {
    pub(crate) fn of_answer(operation: &str, status: u16, body: &[u8], settings: &Resolved) -> Fault {
        let Resolved { stream, region, endpoint, credentials, .. } = settings;
        let key = &credentials.access_key;
        let parsed: Body = serde_json::from_slice(body).unwrap_or_default();
        let code = parsed.code.as_deref().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        let message = match parsed.message {
            Some(message) => cut(&message),
            None => cut(&String::from_utf8_lossy(body.get(..4 * SHOWN).unwrap_or(body))),
        };
        let what = format!("{operation} at {endpoint} has failed with {status} {code}: {message}");
        match code {
            "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "KMSThrottlingException" => Fault::Throttled(what),
            "ExpiredIteratorException" => Fault::IteratorExpired,
            "InvalidArgumentException" | "ValidationException" | "SerializationException" => {
                Fault::Argument(what)
            }
            "ResourceNotFoundException" => Fault::Missing(format!(
                "there is no stream `{stream}` in the region `{region}` of the account of `{key}`. Make it, or \
                 mend its name, the region or the endpoint ({what})"
            )),
            "AccessDeniedException" | "KMSAccessDeniedException" => Fault::Fatal(format!(
                "`{key}` may not read the stream `{stream}`: it needs kinesis:ListShards, kinesis:GetShardIterator \
                 and kinesis:GetRecords, and kms:Decrypt where the stream is encrypted ({what})"
            )),
            "ExpiredTokenException" | "ExpiredToken" => Fault::Fatal(format!(
                "the temporary credentials have expired: start the program with new ones ({what})"
            )),
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationTokenException"
            | "MissingAuthenticationToken"
            | "OptInRequired"
            | "SignatureDoesNotMatch" => Fault::Fatal(format!(
                "the service does not accept the credentials `{key}`: see that key, secret, token and region \
                 (`{region}`) are right, and this machine's clock ({what})"
            )),
            _ if status == 429 => Fault::Throttled(what),
            _ if status >= 500 || status == 408 || code == "RequestTimeout" || code == "RequestExpired" => {
                Fault::Transient(what)
            }
            // Another server than Kinesis answers so.
            _ => Fault::Fatal(format!("{what}. Is the endpoint that of Kinesis?")),
        }
    }

    /// What was answered with success is not what was expected. A proxy may be in between.
    pub(crate) fn malformed(operation: &str, settings: &Resolved, error: &serde_json::Error) -> Fault {
        let endpoint = &settings.endpoint;
        Fault::Transient(format!(
            "what {endpoint} answers to {operation} is not of the form of Kinesis ({error}): is the endpoint right?"
        ))
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Fault::Missing(what)
            | Fault::Fatal(what)
            | Fault::Transient(what)
            | Fault::Throttled(what)
            | Fault::Argument(what) => what,
            Fault::IteratorExpired => "the service says that an iterator has expired",
        }
    }
}

fn cut(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}..", text.get(..at).unwrap_or_default()),
        None if text.is_empty() => "(nothing more is said)".to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Kinesis;

    fn fault(status: u16, body: &str) -> Fault {
        let settings = Kinesis::new("clicks").region("eu-west-1").credentials("id", "secret");
        Fault::of_answer("GetRecords", status, body.as_bytes(), &settings.resolve(|_| None).unwrap())
    }

    #[test]
    fn faults_are_told_apart() {
        let of = |status, code: &str| fault(status, &format!(r#"{{"__type":"x.y#{code}","message":"m"}}"#));
        assert!(matches!(of(400, "ProvisionedThroughputExceededException"), Fault::Throttled(_)));
        assert_eq!(of(400, "ExpiredIteratorException"), Fault::IteratorExpired);
        assert!(matches!(of(400, "InvalidArgumentException"), Fault::Argument(_)));
        assert!(matches!(of(500, "InternalFailure"), Fault::Transient(_)));
        assert!(matches!(fault(503, "<html>busy"), Fault::Transient(_)));
        let denied = of(400, "AccessDeniedException");
        assert!(matches!(&denied, Fault::Fatal(what) if what.contains("kinesis:GetRecords")), "{denied:?}");
        let other = fault(404, &"<html>".repeat(1_000));
        assert!(matches!(&other, Fault::Fatal(what) if what.contains("Is the endpoint") && what.len() < 600));
    }
}
