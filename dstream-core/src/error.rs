//! What can go wrong, as values: nothing that comes from data, the network or a file panics.

use std::{fmt, sync::Arc};

use crate::Time;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Cheap to clone, since every waiter of a context gets the first error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or an argument that can't work, found when the context is built or started.
    #[error("{0}")]
    Invalid(String),
    /// The call does not fit the state of the context (see [`StreamingContext`](crate::StreamingContext)).
    #[error("{0}")]
    State(String),
    /// An operator or an output failed in one batch.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A source could not be started, or could not say what belongs to a batch.
    #[error("source `{source_name}`: {message}")]
    Source {
        /// The source, as it names itself: `socket_text_stream(localhost:9999)`.
        source_name: String,
        /// What happened.
        message: String,
    },
    /// A checkpoint could not be written, or can't be gone on from.
    #[error(transparent)]
    Checkpoint(#[from] crate::CheckpointError),
    /// The operating system refused something.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The answer.
        error: Arc<std::io::Error>,
    },
}

impl Error {
    /// An [`Error::Source`] from any error.
    pub fn source(name: impl fmt::Display, message: impl fmt::Display) -> Error {
        Error::Source { source_name: name.to_string(), message: message.to_string() }
    }

    /// An [`Error::Io`] that says what was tried.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Error {
        Error::Io { what: what.to_string(), error: Arc::new(error) }
    }
}

/// One failure of one batch: which operator, where it is written, and what it said.
///
/// The batch's other outputs still run, and so does the next batch;
/// [`await_termination`](crate::StreamingContext::await_termination) returns the first of these.
#[derive(Clone, Debug)]
pub struct JobError {
    /// The time of the batch.
    pub time: Time,
    /// The operator, as written: `flat_map`. If a failure can't be placed at one operator, all of its stage,
    /// as in `flat_map, map, reduce_by_key`.
    pub operator: String,
    /// The source file in which the pipeline is written.
    pub file: &'static str,
    /// The line of the operator in that file.
    pub line: u32,
    /// The panic's message, or the error that an output returned.
    pub message: String,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobError { time, operator, file, line, message } = self;
        write!(f, "batch {time}: `{operator}` at {file}:{line} failed: {message}")
    }
}

impl std::error::Error for JobError {}
