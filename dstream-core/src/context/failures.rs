//! What has gone wrong in a context, for whoever waits for its end.

use crate::Error;

/// Each failure of a batch is returned once, to those who wait when it happens or to the first who asks
/// later. What has ended the context is returned to everybody.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// How many there were.
    count: u64,
    /// How many of them have been returned, or have come after one that has not been.
    returned: u64,
    /// The first that has not been returned, or else the last that has.
    latest: Option<Error>,
    /// What the context has ended by.
    end: Option<Error>,
}

impl Failures {
    /// A failure that later batches survive.
    pub(super) fn add(&mut self, error: Error) {
        if self.count == self.returned {
            self.latest = Some(error);
        }
        self.count += 1;
    }

    /// Something without which the context can't go on; the first one counts.
    pub(super) fn end_by(&mut self, error: Error) {
        self.end.get_or_insert(error);
    }

    /// What ended the context, if it was a failure.
    pub(super) fn end(&self) -> Option<&Error> {
        self.end.as_ref()
    }

    /// The latest failure there was, returned or not.
    pub(super) fn last(&self) -> Option<&Error> {
        self.end.as_ref().or(self.latest.as_ref())
    }

    /// How much somebody knows who begins to wait now; for the functions below.
    pub(super) fn returned(&self) -> u64 {
        self.returned
    }

    /// Whether there is an error for somebody who knows `returned` failures.
    pub(super) fn is_new(&self, returned: u64) -> bool {
        self.end.is_some() || self.count > returned
    }

    /// The error for somebody who knows `returned` failures; it counts as returned from now on. A failure of
    /// a batch comes before the end that it may have led to.
    pub(super) fn take(&mut self, returned: u64) -> Option<Error> {
        let new = self.count > returned;
        self.returned = self.count;
        if new { self.latest.clone() } else { self.end.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Error {
        Error::Invalid(text.into())
    }

    fn text(error: Option<Error>) -> String {
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_failure_is_returned_once() {
        let mut failures = Failures::default();
        assert!(!failures.is_new(failures.returned()));
        let waits = failures.returned();
        failures.add(failure("first"));
        failures.add(failure("second"));
        // Two wait; both are told, of the first one.
        assert!(failures.is_new(waits));
        assert_eq!(text(failures.take(waits)), "first");
        assert_eq!(text(failures.take(waits)), "first");
        let waits = failures.returned();
        assert!(!failures.is_new(waits));
        failures.add(failure("third"));
        assert_eq!(text(failures.take(waits)), "third");
        assert_eq!(text(failures.take(failures.returned())), "");
    }

    #[test]
    fn what_ended_the_context_is_returned_to_everybody() {
        let mut failures = Failures::default();
        failures.add(failure("batch"));
        failures.end_by(failure("end"));
        failures.end_by(failure("later"));
        assert_eq!(text(failures.take(failures.returned())), "batch");
        for _ in 0..2 {
            assert!(failures.is_new(failures.returned()));
            assert_eq!(text(failures.take(failures.returned())), "end");
        }
    }
}
