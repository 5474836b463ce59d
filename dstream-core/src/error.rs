//! What can go wrong, as values: nothing that comes from data, the network or a file panics.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{Time, checkpoint::CheckpointError};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a variant for each thing that a caller can do about it. Cheap to clone, since everybody
/// who waits for a context gets the error. Its text says all that there is to say; a program that looks for a
/// cause by its type finds that by [`source`](StdError::source).
///
/// | | what to do |
/// |---|---|
/// | [`Invalid`](Error::Invalid) | mend the setting or the argument |
/// | [`State`](Error::State) | call at another time, or make a new context |
/// | [`Job`](Error::Job) | look at its cause; the context goes on, unless it was told to stop |
/// | [`Output`](Error::Output) | what the caller's own function has returned, with its type |
/// | [`Source`](Error::Source) | see to the place that the data come from |
/// | [`Unreadable`](Error::Unreadable) | see to the place that the data come from, then start the program again |
/// | [`Checkpoint`](Error::Checkpoint) | see to the storage, then start the program again |
/// | [`Exchange`](Error::Exchange) | start all processes again |
/// | [`Thread`](Error::Thread) | start a new context, and report the fault |
/// | [`Io`](Error::Io) | see to what the operating system has refused |
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting or an argument that can't work, found when the context is built or started.
    Invalid(String),
    /// The call does not fit the state of the context (see [`StreamingContext`](crate::StreamingContext)).
    State(String),
    /// An operator or an output failed in one batch.
    Job(JobError),
    /// What a function of the user has returned, such as that of `foreach_rdd`. A batch that fails by it has
    /// it as the [source](JobError) of its [`JobError`].
    Output(Arc<dyn StdError + Send + Sync>),
    /// A source could not be started, or could not say what belongs to a batch.
    #[non_exhaustive]
    Source {
        /// The source, as it names itself: `socket_text_stream(localhost:9999)`.
        source_name: String,
        /// What happened.
        message: String,
    },
    /// Records that belong to a batch can't be read, and must not be left out: the batch fails. With a
    /// checkpoint, a restart runs it again.
    #[non_exhaustive]
    Unreadable {
        /// The source, as it names itself.
        source_name: String,
        /// Which records, and what happened.
        message: String,
    },
    /// A checkpoint could not be written, or can't be gone on from.
    Checkpoint(CheckpointError),
    /// Another one of the processes that run the program together is gone, or can't go on. All of them end,
    /// and go on from the last checkpoint when they are started again.
    Exchange(ExchangeError),
    /// More batches wait than [`Config::max_batches_behind`](crate::Config::max_batches_behind) allows, and
    /// the context is to [stop](crate::backpressure::OnBehind::Stop) then.
    #[non_exhaustive]
    Behind {
        /// The time of the batch that would have been one too many.
        batch: Time,
        /// How many wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// A thread of the runtime has ended by a panic, which is a fault of this crate, of a clock or of a
    /// source. The context is stopped by it; a new one can be started.
    #[non_exhaustive]
    Thread {
        /// The name of the thread.
        thread: String,
        /// What the panic said.
        message: String,
    },
    /// The operating system refused something.
    #[non_exhaustive]
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

    /// An [`Error::Unreadable`] from any error.
    pub fn unreadable(name: impl fmt::Display, message: impl fmt::Display) -> Error {
        Error::Unreadable { source_name: name.to_string(), message: message.to_string() }
    }

    /// An [`Error::Output`] of any error; one of these stays what it is.
    pub fn output(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        match error.into().downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::Output(error.into()),
        }
    }

    /// An [`Error::Io`] that says what was tried.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Error {
        Error::Io { what: what.to_string(), error: Arc::new(error) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(what) | Error::State(what) => f.write_str(what),
            Error::Job(error) => error.fmt(f),
            Error::Output(error) => f.write_str(&causes(&**error)),
            Error::Source { source_name, message } | Error::Unreadable { source_name, message } => {
                write!(f, "source `{source_name}`: {message}")
            }
            Error::Checkpoint(error) => error.fmt(f),
            Error::Exchange(error) => {
                write!(f, "the processes that run this program can't go on together: {error}")
            }
            Error::Behind { batch, waiting, limit } => write!(
                f,
                "the context stops at the batch of {batch}, since {waiting} batches wait and \
                 `max_batches_behind` is {limit}: batches take longer than their interval. Give it more \
                 threads or a longer interval, or let it go on with `on_behind`"
            ),
            Error::Thread { thread, message } => {
                write!(f, "the thread `{thread}` has ended by a panic, which stops the context: {message}")
            }
            Error::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Job(error) => error.source(),
            // As if it stood here itself: its text is the text.
            Error::Output(error) => error.source(),
            Error::Exchange(error) => error.source(),
            Error::Io { error, .. } | Error::Checkpoint(CheckpointError::Io { error, .. }) => Some(&**error),
            _ => None,
        }
    }
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Error {
        Error::Job(error)
    }
}

impl From<CheckpointError> for Error {
    fn from(error: CheckpointError) -> Error {
        Error::Checkpoint(error)
    }
}

/// One failure of one batch: which operator, where it is written, and what it said.
///
/// The batch's other outputs still run, and so does the next batch;
/// [`await_termination`](crate::StreamingContext::await_termination) returns the first of these, and
/// [`Config::on_batch_failure`](crate::Config::on_batch_failure) is told of each. What the failure came from,
/// such as the error that the closure of `foreach_rdd` has returned, is its
/// [`source`](std::error::Error::source), with its own type:
///
/// ```
/// use dstream::{Config, prelude::*};
/// use std::{error::Error as _, io, sync::{Arc, atomic::{AtomicBool, Ordering}}};
///
/// let timed_out = Arc::new(AtomicBool::new(false));
/// let seen = timed_out.clone();
/// let conf = Config::new().on_batch_failure(move |failure| {
///     let cause = failure.source().and_then(|cause| cause.downcast_ref::<io::Error>());
///     seen.store(cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut), Ordering::SeqCst);
/// });
/// let ssc = dstream::stream!(batch = 1s, conf = conf, {
///     queue_stream(vec![vec![1]])
///         .foreach_rdd(|_rdd| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
/// })?;
/// assert!(ssc.run_batches(1).is_err());
/// assert!(timed_out.load(Ordering::SeqCst));
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// The error that it came from; a panic has none.
    pub(crate) cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobError { time, operator, file, line, message, .. } = self;
        write!(f, "batch {time}: `{operator}` at {file}:{line} failed: {message}")
    }
}

impl StdError for JobError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Why an [exchange](crate::exchange) with other processes failed.
#[derive(Debug, Clone)]
pub struct ExchangeError {
    process: Option<usize>,
    message: String,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl ExchangeError {
    /// A failure of the exchange with all processes.
    pub fn new(message: impl Into<String>) -> ExchangeError {
        ExchangeError { process: None, message: message.into(), cause: None }
    }

    /// A failure of the exchange with one process: `with(2, "is gone")` reads "process 2 is gone".
    pub fn with(process: usize, message: impl Into<String>) -> ExchangeError {
        ExchangeError { process: Some(process), ..ExchangeError::new(message) }
    }

    /// Adds the error that was the cause.
    pub fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> ExchangeError {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The other process, if it is known.
    pub fn process(&self) -> Option<usize> {
        self.process
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process} {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl StdError for ExchangeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn StdError + 'static))
    }
}

/// An error with all that led to it, on one line.
pub(crate) fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let own = cause.to_string();
        // Some errors print their causes themselves.
        if !text.ends_with(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn denied() -> io::Error {
        io::ErrorKind::PermissionDenied.into()
    }

    /// A program finds the cause by its type, and a person reads it once.
    #[test]
    fn causes_are_found_and_read_once() {
        let own = Error::output(Error::io("writing", denied()));
        let foreign = Error::output(io::Error::other(Error::io("writing", denied())));
        for error in
            [Error::io("writing", denied()), CheckpointError::io("writing", denied()).into(), own, foreign]
        {
            assert_eq!(causes(&error), "writing: permission denied", "{error:?}");
            let (mut cause, mut kind) = (error.source(), None);
            while let Some(found) = cause {
                kind = kind.or(found.downcast_ref::<io::Error>().map(io::Error::kind));
                cause = found.source();
            }
            assert_eq!(kind, Some(io::ErrorKind::PermissionDenied), "{error:?}");
        }
    }
}
