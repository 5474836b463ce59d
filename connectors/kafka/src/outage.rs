//! Says once that the broker is away, and once that it is back.

/// What one thread of a source has said of the broker.
pub(crate) struct Outage {
    source: String,
    failures: u64,
}

impl Outage {
    pub(crate) fn new(source: &str) -> Outage {
        Outage { source: source.to_owned(), failures: 0 }
    }

    /// The client goes on trying: the first failure is said, then the second, the fourth, and so on.
    pub(crate) fn failed(&mut self, error: &str) {
        self.failures += 1;
        if self.failures.is_power_of_two() {
            tracing::warn!("{}: {error}; it is tried again", self.source);
        }
    }

    pub(crate) fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!("{}: the broker answers again, after {} failures", self.source, self.failures);
            self.failures = 0;
        }
    }
}
