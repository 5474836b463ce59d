//! The tasks that read: one finds the shards, and one reads each of them ahead of the batches.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    api::{From, Records},
    fault::Fault,
    page::ShardId,
    positions::{Origin, Position, Ready},
    runtime::spawn,
    settings::OnLoss,
    shard::{Held, Shard, Slice},
    shared::Shared,
};

/// A shard answers five requests a second.
const PACE: Duration = Duration::from_millis(200);
/// How long any stream keeps its records, in milliseconds.
const RETENTION: u64 = 24 * 3_600 * 1_000;

/// Starts the task that finds shards.
pub(crate) fn start(shared: &Arc<Shared>) {
    watch(shared, find_shards(Arc::clone(shared)));
}

/// Runs a task. If it panics, which is a fault of this crate, nothing would be read any more: every further
/// batch fails.
fn watch(shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) {
    let watching = Arc::clone(shared);
    let started = spawn(task).and_then(|task| {
        spawn(async move {
            if task.await.is_err() {
                watching.fail("a task that reads has ended by a panic");
            }
        })
    });
    if let Err(what) = started {
        shared.fail(what);
    }
}

async fn find_shards(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let listing = tokio::select! {
            () = shared.stopping.cancelled() => return,
            listing = shared.client.list_shards() => listing,
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(fault) => match shared.failed(&fault, &mut failures).await {
                true => continue,
                false => return,
            },
        };
        failures = 0;
        shared.answered();
        let (start, skip) = (shared.settings.start, shared.settings.on_loss == OnLoss::Skip);
        let followed = shared.positions.lock().follow(&listing.shards, listing.date, start, skip);
        if !followed.losses.is_empty() {
            let goes_on = followed.losses.iter().all(|what| shared.lost(what));
            if !goes_on {
                return;
            }
            let gone = |shard: &Arc<Shard>| !listing.shards.iter().any(|listed| listed.id == shard.id.name);
            shared
                .shards()
                .iter()
                .filter(|shard| gone(shard))
                .for_each(|shard| shared.remove(&shard.id.name));
        }
        for ready in followed.ready {
            let id = ShardId { name: ready.shard.id.clone(), hashes: ready.shard.hashes };
            let shard = Arc::new(Shard::new(Arc::new(id)));
            shared.add(&shard);
            let origin = shared.positions.lock().origin();
            let reading = Reading::new(Arc::clone(&shared), shard, &ready, origin);
            watch(&shared, reading.run());
        }
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.drained.notified() => {}
            () = tokio::time::sleep(shared.settings.refresh) => {}
        }
    }
}

/// A shard that is read.
struct Reading {
    shared: Arc<Shared>,
    shard: Arc<Shard>,
    /// Where it begins if nothing has been read.
    begin: From,
    /// The number of the last entry that was read, and the time before which all that had arrived was.
    last: Option<(String, u64)>,
    iterator: Option<String>,
    /// The entry at `last` is read once more, to see that nothing is missing behind it: the service begins in
    /// silence with the oldest entry that it has.
    joining: bool,
    failures: u32,
}

/// The source stops, or fails.
struct Ended;

impl Reading {
    fn new(shared: Arc<Shared>, shard: Arc<Shard>, ready: &Ready, origin: Origin) -> Reading {
        let last = match &ready.position {
            Position::At { number, until } => Some((number.clone(), *until)),
            Position::Start | Position::Done => None,
        };
        let begin = match origin {
            _ if ready.at_latest => From::Latest,
            Origin::TrimHorizon => From::TrimHorizon,
            Origin::Time(time) => From::Timestamp(time),
        };
        Reading { shared, shard, begin, last, iterator: None, joining: false, failures: 0 }
    }

    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            Ended = self.read() => {}
        }
    }

    async fn read(&mut self) -> Ended {
        loop {
            self.shared.budget.room().await;
            let asked = Instant::now();
            let records = match self.request().await {
                Ok(records) => records,
                Err(fault) => match self.recover(fault).await {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                },
            };
            self.failures = 0;
            self.shared.answered();
            let caught_up = records.behind == 0;
            let ended = records.next.is_none();
            if let Err(ended) = self.store(records) {
                return ended;
            }
            if ended {
                return Ended;
            }
            let pause = if caught_up { self.shared.settings.poll.max(PACE) } else { PACE };
            if !self.shared.sleep(pause.saturating_sub(asked.elapsed())).await {
                return Ended;
            }
        }
    }

    async fn request(&mut self) -> Result<Records, Fault> {
        let Shared { client, requests, .. } = &*self.shared;
        let name = &self.shard.id.name;
        if self.iterator.is_none() {
            let from = match &self.last {
                Some((number, _)) => From::At(number.clone()),
                None => self.begin.clone(),
            };
            self.joining = self.last.is_some();
            self.iterator = Some(client.iterator(name, &from).await?);
            if self.begin == From::Latest {
                // Another iterator begins where this one does, and not later.
                self.begin = match self.shared.positions.lock().origin() {
                    Origin::TrimHorizon => From::TrimHorizon,
                    Origin::Time(time) => From::Timestamp(time),
                };
            }
        }
        let iterator = self.iterator.clone().unwrap_or_default();
        // It is closed with its source at the earliest.
        let _permit = requests.acquire().await;
        client.records(&self.shard.id, &iterator).await
    }

    async fn recover(&mut self, fault: Fault) -> Result<(), Ended> {
        match fault {
            Fault::IteratorExpired => {
                tracing::debug!("{}: the iterator has expired and is renewed", self.shard.id.name);
                self.iterator = None;
                return Ok(());
            }
            // It is no position of this stream.
            Fault::Argument(what) if self.iterator.is_none() => match &self.last {
                Some((number, _)) => {
                    let (name, number) = (&self.shard.id.name, number.clone());
                    let what = format!(
                        "{name} can't be read on behind {number}: has it expired, or was the stream deleted and \
                         made anew? ({what})"
                    );
                    if !self.shared.lost(&what) {
                        return Err(Ended);
                    }
                    self.last = None;
                    self.begin = From::TrimHorizon;
                    return Ok(());
                }
                None => self.shared.fail(what),
            },
            // The shard may have expired, which the list of shards says.
            Fault::Missing(what) => {
                self.iterator = None;
                if !self.shared.reads(&self.shard.id.name) {
                    return Err(Ended);
                }
                self.shared.drained.notify_one();
                if self.shared.failed(&Fault::Transient(what), &mut self.failures).await {
                    return Ok(());
                }
            }
            fault => {
                if matches!(fault, Fault::Argument(_)) {
                    self.iterator = None;
                }
                if self.shared.failed(&fault, &mut self.failures).await {
                    return Ok(());
                }
            }
        }
        Err(Ended)
    }

    fn store(&mut self, records: Records) -> Result<(), Ended> {
        let Records { page, next, behind, date } = records;
        // At the newest entry, or the end, the one that it joins would have come.
        if self.joining
            && (!page.is_empty() || behind == 0 || next.is_none())
            && let Some((number, until)) = &self.last
        {
            let begins = page.sequence(0);
            if begins != Some(number.as_str()) && until.saturating_add(RETENTION) <= date {
                let begins =
                    begins.map_or_else(|| "none is left".to_owned(), |n| format!("the oldest is {n}"));
                let what = format!(
                    "{}: the record {number}, up to which it had been read, has expired, and {begins}: what \
                     followed may be lost",
                    self.shard.id.name
                );
                if !self.shared.lost(&what) {
                    return Err(Ended);
                }
            }
            self.joining = false;
        }
        let known = |number: &str| {
            let last = self.last.as_ref().map(|(last, _)| last.as_str());
            last.is_some_and(|last| (number.len(), number) <= (last.len(), last))
        };
        let first = (0..page.len()).take_while(|at| page.sequence(*at).is_some_and(known)).count();
        let until = if self.joining { 0 } else { date.saturating_sub(behind) };
        if let Some(number) = page.len().checked_sub(1).and_then(|last| page.sequence(last)) {
            self.last = Some((number.to_owned(), until));
        } else if let Some((_, last)) = &mut self.last {
            *last = (*last).max(until);
        }
        let (len, held) = (page.len(), page.held());
        let slice = (first < len).then(|| {
            let _permit = Some(self.shared.budget.take(held));
            Slice { page: Arc::new(Held { page, _permit }), entries: first..len }
        });
        self.shard.push(slice, until, next.is_none());
        self.iterator = next;
        Ok(())
    }
}
