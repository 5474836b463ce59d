//! Why a batch could not be written, and whether it is worth another attempt.

use std::{
    error::Error as StdError,
    fmt,
    io::{self, ErrorKind},
    sync::Arc,
};

use crate::{Error, error::causes};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a sink, or the closure of an output, could not write a batch.
///
/// Every error becomes one with `?`. It is *transient*, that is, worth another attempt, if somewhere in its
/// chain of [sources](StdError::source) stands a [`Transient`], or an [`io::Error`] of a kind that
/// connections have and that may pass: `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`,
/// `NotConnected`, `BrokenPipe`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown`, `TimedOut`,
/// `WouldBlock`, `Interrupted`. All others are permanent. [`transient`](SinkError::transient) and
/// [`permanent`](SinkError::permanent) say so whatever the error is.
///
/// It is no [`Error`](StdError) itself, so that `?` can make one of any error; [`source`](SinkError::source)
/// is what it was made of.
///
/// ```
/// use dstream::sink::SinkError;
/// use std::io::{Error, ErrorKind};
///
/// let refused = SinkError::from(Error::from(ErrorKind::ConnectionRefused));
/// assert!(refused.is_transient());
/// assert!(!SinkError::from("the table has no column `price`").is_transient());
/// assert!(SinkError::transient("the server is starting").is_transient());
/// assert!(!SinkError::permanent(Error::from(ErrorKind::BrokenPipe)).is_transient());
/// ```
#[derive(Clone)]
pub struct SinkError {
    transient: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl SinkError {
    /// An error that is worth another attempt.
    pub fn transient(error: impl Into<BoxError>) -> SinkError {
        SinkError { transient: true, source: error.into().into() }
    }

    /// An error that another attempt would meet, too.
    pub fn permanent(error: impl Into<BoxError>) -> SinkError {
        SinkError { transient: false, source: error.into().into() }
    }

    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// What a failure that it leads to came from: the user's own error.
    pub(crate) fn cause(&self) -> Arc<dyn StdError + Send + Sync> {
        match self.source.downcast_ref::<Error>() {
            Some(Error::Output(error)) => Arc::clone(error),
            _ => Arc::clone(&self.source),
        }
    }

    /// What it was made of.
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl<E: Into<BoxError>> From<E> for SinkError {
    fn from(error: E) -> SinkError {
        let error = error.into();
        SinkError { transient: is_transient(&*error), source: error.into() }
    }
}

impl fmt::Display for SinkError {
    /// With its causes: `can't insert: connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes(&*self.source))
    }
}

impl fmt::Debug for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkError").field("transient", &self.transient).field("source", &self.source).finish()
    }
}

/// Marks an error as one that may pass, so that the output which returns it is retried.
///
/// For closures, where [`SinkError::transient`] is not at hand: it is found anywhere in the chain of sources.
///
/// ```
/// use dstream::{prelude::*, sink::Transient};
///
/// let mut calls = 0;
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![vec![1u64]]).foreach_rdd(
///         |_rdd| -> Result<(), Transient> {
///             calls += 1;
///             if calls < 3 { Err(Transient::new("the shop is closed")) } else { Ok(()) }
///         },
///         retry = Retry::new().delays(Duration::ZERO, Duration::ZERO),
///     );
/// })?;
/// # use std::time::Duration;
/// ssc.run_batches(1)?;
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Debug)]
pub struct Transient(BoxError);

impl Transient {
    /// Marks the error.
    pub fn new(error: impl Into<BoxError>) -> Transient {
        Transient(error.into())
    }
}

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Transient {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        // The error of this crate shares what the system said.
        let shared = cause.downcast_ref::<Arc<io::Error>>().map(|error| &**error);
        let ours = cause.downcast_ref::<Error>().and_then(|error| match error {
            Error::Io { error, .. } => Some(&**error),
            _ => None,
        });
        match cause.downcast_ref::<io::Error>().or(shared).or(ours) {
            // What an `io::Error` was made of is not the same as its source.
            Some(error) => {
                is_transient_kind(error.kind()) || error.get_ref().is_some_and(|inner| is_transient(inner))
            }
            None => cause.is::<Transient>(),
        }
    })
}

fn is_transient_kind(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("can't insert")]
    struct Insert(#[source] io::Error);

    #[test]
    fn a_transient_error_is_found_in_the_chain() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        assert!(SinkError::from(Insert(refused())).is_transient());
        assert!(SinkError::from(Error::io("writing", refused())).is_transient());
        assert!(SinkError::from(io::Error::other(Insert(refused()))).is_transient());
        assert!(SinkError::from(io::Error::other(Transient::new("later"))).is_transient());
        assert!(!SinkError::from(Insert(ErrorKind::PermissionDenied.into())).is_transient());
        assert!(!SinkError::from("no").is_transient());
    }

    #[test]
    fn causes_are_said_once() {
        let error = SinkError::from(Insert(io::Error::other("no such table")));
        assert_eq!(error.to_string(), "can't insert: no such table");
        assert_eq!(SinkError::from(Transient::new("later")).to_string(), "later");
    }
}
