//! What the tasks of a source and its batches share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dstream_core::{Error, clock::CancellationToken, source::SourceContext};
use tokio::sync::{Notify, Semaphore};

use crate::{
    budget::Budget,
    client::Client,
    fault::Fault,
    outage::{Outage, delay},
    positions::SharedPositions,
    settings::{Kinesis, OnLoss},
    shard::Shard,
};

/// How many answers with records may be under way: each has up to 10 MB, beside the budget.
const REQUESTS: usize = 8;

/// What to do about a loss, for messages.
pub(crate) const SKIP: &str = "`Kinesis::on_loss(OnLoss::Skip)` goes on with the oldest record that there is";

/// A source that has been started.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) settings: Kinesis,
    pub(crate) client: Client,
    pub(crate) budget: Budget,
    pub(crate) requests: Semaphore,
    pub(crate) positions: SharedPositions,
    /// Set when nothing more is to be read.
    pub(crate) stopping: CancellationToken,
    /// A shard is in batches to its end: its children may begin.
    pub(crate) drained: Notify,
    context: SourceContext,
    outage: Outage,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shards: Vec<Arc<Shard>>,
    /// Why every further batch fails.
    failure: Option<String>,
}

impl Shared {
    pub(crate) fn new(
        settings: &Kinesis,
        client: Client,
        positions: SharedPositions,
        context: &SourceContext,
    ) -> Shared {
        Shared {
            name: settings.name(),
            settings: settings.clone(),
            client,
            budget: Budget::new(settings.buffer_bytes),
            requests: Semaphore::new(REQUESTS),
            positions,
            stopping: CancellationToken::new(),
            drained: Notify::new(),
            context: context.clone(),
            outage: Outage::new(&settings.name()),
            state: Mutex::default(),
        }
    }

    /// The shards that are read, in the order of their names.
    pub(crate) fn shards(&self) -> Vec<Arc<Shard>> {
        self.state().shards.clone()
    }

    pub(crate) fn add(&self, shard: &Arc<Shard>) {
        let mut state = self.state();
        state.shards.push(Arc::clone(shard));
        state.shards.sort_by(|a, b| a.id.name.cmp(&b.id.name));
    }

    pub(crate) fn reads(&self, shard: &str) -> bool {
        self.state().shards.iter().any(|known| known.id.name == shard)
    }

    pub(crate) fn remove(&self, shard: &str) {
        self.state().shards.retain(|known| known.id.name != shard);
        self.drained.notify_one();
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Lets every further batch fail.
    pub(crate) fn fail(&self, why: impl Into<String>) {
        self.state().failure.get_or_insert(why.into());
    }

    /// Records may be gone that no batch has had; returns whether the stream goes on without them.
    pub(crate) fn lost(&self, what: &str) -> bool {
        match self.settings.on_loss {
            OnLoss::Skip => {
                self.context.report(Error::source(&self.name, what));
                true
            }
            OnLoss::Fail => {
                self.fail(format!("{what}. {SKIP}"));
                false
            }
        }
    }

    /// A request has succeeded.
    pub(crate) fn answered(&self) {
        self.outage.over();
    }

    /// A request has failed so often in turn. Waits before the next one; returns whether there is to be one.
    pub(crate) async fn failed(&self, fault: &Fault, failures: &mut u32) -> bool {
        if let Fault::Fatal(what) | Fault::Missing(what) = fault {
            self.fail(what.as_str());
            return false;
        }
        *failures += 1;
        let patience = self.settings.patience;
        if self.outage.failed(fault).is_some_and(|time| time > patience) {
            self.fail(format!("{}, for {patience:?} since the start", fault.message()));
            return false;
        }
        self.sleep(delay(*failures)).await
    }

    /// Returns whether the source still runs after that.
    pub(crate) async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
