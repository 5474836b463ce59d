//! How often requests fail one after another, and who is told.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::fault::Fault;

/// The first wait after a failure; it doubles up to the longest.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait before a request that has failed so often is repeated. Many shards fail at the same
/// time, and are not asked for again at the same time.
pub(crate) fn delay(failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    // Between half of it and all of it.
    doubled.mul_f64(0.5 + 0.5 * f64::from(nanos % 1_000) / 1_000.0)
}

/// The failures of all requests of a source since one has succeeded: the first is said, then the second, the
/// fourth, and so on.
pub(crate) struct Outage {
    source: String,
    state: Mutex<State>,
}

struct State {
    failures: u64,
    since: Instant,
    reached: bool,
}

impl Outage {
    pub(crate) fn new(source: &str) -> Outage {
        let state = State { failures: 0, since: Instant::now(), reached: false };
        Outage { source: source.to_owned(), state: Mutex::new(state) }
    }

    /// Returns for how long the service has not been reached, if it never has been.
    pub(crate) fn failed(&self, fault: &Fault) -> Option<Duration> {
        let mut state = self.lock();
        if matches!(fault, Fault::Throttled(_)) {
            tracing::debug!("{}: {}; it is asked again later", self.source, fault.message());
            return None;
        }
        state.failures += 1;
        if state.failures.is_power_of_two() {
            tracing::warn!("{}: {}; it is tried again", self.source, fault.message());
        }
        (!state.reached).then(|| state.since.elapsed())
    }

    pub(crate) fn over(&self) {
        let mut state = self.lock();
        state.reached = true;
        if state.failures > 0 {
            tracing::info!("{}: Kinesis answers again, after {} failures", self.source, state.failures);
            state.failures = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
