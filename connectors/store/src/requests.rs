//! Requests, with a limit on how long one takes, and a count of those that fail one after the other.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use object_store::{Error, Result};

use crate::runtime::wait;

/// How long a request may take, unless it is said.
const LIMIT: Duration = Duration::from_secs(120);

/// How the requests of a store are made.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) limit: Duration,
    /// How many have failed since one was answered.
    failed: Arc<AtomicU64>,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests { limit: LIMIT, failed: Arc::default() }
    }
}

impl Requests {
    /// Runs a request and waits for its answer. From the second failure in a row on, the error says how many.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let limit = self.limit;
        let limited = async move { tokio::time::timeout(limit, request).await };
        let outcome = match wait(limited) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(generic(format!("there was no answer within {limit:?}"))),
            Err(error) => Err(generic(error)),
        };
        match outcome {
            // Any other error is an answer.
            Err(Error::Generic { store, source }) => {
                let times = self.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                let source = if times > 1 { Box::new(Repeated { times, last: source }) } else { source };
                Err(Error::Generic { store, source })
            }
            outcome => {
                self.failed.store(0, Ordering::Relaxed);
                outcome
            }
        }
    }
}

/// An error of the store itself, not of a certain object.
pub(crate) fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Generic { store: "store", source: source.into() }
}

/// A failure that was not the first.
#[derive(Debug)]
struct Repeated {
    times: u64,
    last: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests in a row have failed, the last: {}", self.times, self.last)
    }
}

impl StdError for Repeated {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.last.source()
    }
}
