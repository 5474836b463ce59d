//! What a store answers, in words that say what to do.

use std::{error::Error as _, io};

use dstream_core::sink::SinkError;
use object_store::Error;

/// The error with all its causes, and advice where the cause is known.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    // Answers are XML of several lines.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match advice(error, &text) {
        Some(advice) => format!("{advice} ({text})"),
        None => text,
    }
}

fn advice(error: &Error, text: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["NoSuchBucket"]) {
        return Some("there is no such bucket: create it, or correct the URL");
    }
    if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"]) {
        return Some(
            "the credentials are refused: expected valid ones in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    if says(&["169.254.169.254", "CredentialsNotLoaded"]) {
        return Some("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    if says(&["URL scheme is not allowed", "BadScheme"]) {
        return Some("AWS_ENDPOINT is not encrypted: set AWS_ALLOW_HTTP=true if that is meant");
    }
    if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
        return Some("access is refused: these credentials need to list, read, write and delete here");
    }
    says(&["onnection refused", "dns error"])
        .then_some("the server does not answer: look whether it runs, and at AWS_ENDPOINT")
}

/// As the error of a read or write. A bucket that is missing is not the same as an object that is.
pub(crate) fn io_error(error: &Error) -> io::Error {
    let text = explain(error);
    let kind = match error {
        Error::NotFound { .. } if !text.contains("NoSuchBucket") => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, text)
}

/// As the error of an output: what the requests have been repeated for in vain may still pass.
pub(crate) fn sink_error(place: &str, error: &Error) -> SinkError {
    let text = format!("writing `{place}`: {}", explain(error));
    match error {
        Error::Generic { .. } => SinkError::transient(text),
        _ => SinkError::permanent(text),
    }
}
