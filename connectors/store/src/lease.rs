//! The lease: one process writes at a time.
//!
//! Records `.lease-N` follow one on the other; each is made by a conditional create, and the newest says who
//! has the lease. No clocks are compared: who wants it watches the newest record for as long as it says, by a
//! clock of its own, and only if nobody has made the next one meanwhile tries to make it.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use dstream_core::checkpoint::{CheckpointError, StoreLock};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use crate::{Store, errors::io_error};

pub(crate) const PREFIX: &str = ".lease-";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// Rises by one whenever the lease passes on.
    epoch: u64,
    /// Who has it, for people.
    owner: String,
    /// How long nobody else may take it.
    millis: u64,
    /// Given back: it may be taken at once.
    released: bool,
}

/// A lease that this process has, or has lost.
#[derive(Debug)]
pub(crate) struct Lease {
    term: Mutex<Term>,
}

#[derive(Debug)]
struct Term {
    until: Until,
    lost: Option<String>,
}

/// A time, by two clocks: one of them stands still while the machine is suspended, and the other may be set.
#[derive(Clone, Copy, Debug)]
struct Until(Instant, SystemTime);

impl Until {
    fn from_now(time: Duration) -> Until {
        Until(Instant::now() + time, SystemTime::now() + time)
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.0 || SystemTime::now() >= self.1
    }
}

impl Lease {
    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing may be written any more. Once there is a reason it stays.
    pub(crate) fn lost(&self) -> Option<String> {
        let mut term = self.term();
        if term.lost.is_none() && term.until.is_over() {
            term.lost = Some(
                "its lease was not renewed in time: the process was stopped, or the store did not answer"
                    .to_owned(),
            );
        }
        term.lost.clone()
    }

    fn lose(&self, why: String) {
        self.term().lost.get_or_insert(why);
    }
}

/// Held while the lease is renewed; gives it back when dropped.
pub(crate) struct Guard {
    lease: Arc<Lease>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StoreLock for Guard {
    fn lost(&self) -> Option<String> {
        self.lease.lost()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has only the lease to give back; if it panicked, the lease ends by itself.
            let _ = thread.join();
        }
    }
}

/// What a call of this process is known by.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random = RandomState::new().hash_one(std::process::id());
    format!("{random:016x}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number:020}")
}

fn this_process() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this host" } else { host.trim() };
    format!("process {} on {host}", std::process::id())
}

/// As long as this before the end of the term, nothing new is begun.
fn margin(lease: Duration) -> Duration {
    lease / 5
}

/// Takes the lease, or says who has it.
pub(crate) fn take(store: &Store) -> Result<Guard, CheckpointError> {
    let failed = |error| CheckpointError::io(format_args!("taking the lease of `{}`", store.url), error);
    let busy = |record: &Record| CheckpointError::busy(&store.url, &record.owner);
    let mut next = 0;
    let mut epoch = 1;
    if let Some(newest) = newest(store).map_err(failed)? {
        let record = read(store, newest).map_err(failed)?;
        if !record.released {
            watch(store, newest, &record).map_err(failed)?.map_or(Ok(()), |other| Err(busy(&other)))?;
        }
        (next, epoch) = (newest + 1, record.epoch + 1);
    }
    let millis = u64::try_from(store.lease.as_millis()).unwrap_or(u64::MAX);
    let record = Record { epoch, owner: this_process(), millis, released: false };
    let mark = unique();
    let until = Until::from_now(store.lease - margin(store.lease));
    if let Err(error) = create(store, next, &record, &mark) {
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let other = newest(store).and_then(|n| read(store, n.unwrap_or(next)));
                other.map_or_else(failed, |other| busy(&other))
            }
            _ => failed(error),
        });
    }
    // A record that others have deleted meanwhile could have been made again: theirs is newer then.
    if let Some(newer) = newest(store).map_err(failed)?.filter(|newest| *newest > next) {
        return Err(busy(&read(store, newer).map_err(failed)?));
    }
    let lease = Arc::new(Lease { term: Mutex::new(Term { until, lost: None }) });
    *store.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&lease);
    let (stop, stopped) = mpsc::channel();
    let thread = {
        let (store, lease) = (store.clone(), Arc::clone(&lease));
        thread::Builder::new()
            .name("dstream-lease".to_owned())
            .spawn(move || renew(&store, &lease, (next, &mark), record, &stopped))
            .map_err(failed)?
    };
    Ok(Guard { lease, stop: Some(stop), thread: Some(thread) })
}

/// Watches a record for as long as it is valid. The newer one, if there is one.
fn watch(store: &Store, number: u64, record: &Record) -> io::Result<Option<Record>> {
    let term = Duration::from_millis(record.millis);
    let began = Instant::now();
    tracing::info!("`{}` has a lease of {}: waiting for up to {term:?}", store.url, record.owner);
    loop {
        let left = term.saturating_sub(began.elapsed());
        thread::sleep(left.min(term / 10));
        if let Some(newer) = newest(store)?.filter(|newest| *newest > number) {
            return read(store, newer)
                .map(|newer| Some(newer).filter(|newer| !newer.released).or(Some(record.clone())));
        }
        if began.elapsed() >= term {
            return Ok(None);
        }
    }
}

/// Renews the lease until it is to be given back. `mark` tells its records from those of all others.
fn renew(
    store: &Store,
    lease: &Lease,
    (mut number, mark): (u64, &str),
    mut record: Record,
    stopped: &mpsc::Receiver<()>,
) {
    let mut pause = store.lease / 3;
    // The end of the term that the next record begins. An attempt that seemed to fail may have made it, and
    // who watches counts from then on.
    let mut next_until = None;
    loop {
        let ended = stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
        if lease.lost().is_some() {
            return;
        }
        let again = next_until.is_some();
        let until = *next_until.get_or_insert_with(|| Until::from_now(store.lease - margin(store.lease)));
        record.released = ended;
        match create(store, number + 1, &record, mark) {
            Ok(()) => {
                // A lease that has ended meanwhile is not had again: another process may have it.
                if lease.lost().is_none() {
                    lease.term().until = until;
                }
                forget(store, number);
                number += 1;
                next_until = None;
                pause = if again { Duration::ZERO } else { store.lease / 3 };
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let other =
                    read(store, number + 1).map_or_else(|_| "another process".to_owned(), |r| r.owner);
                lease.lose(format!("its lease has passed to {other}"));
            }
            Err(error) => {
                tracing::warn!("the lease of `{}` can't be renewed: {error}", store.url);
                pause = store.lease / 20;
            }
        }
        if ended {
            return;
        }
    }
}

/// Deletes a record that is not the newest. If that fails, it is left to whoever takes the lease next.
fn forget(store: &Store, number: u64) {
    let request = Store::remove(Arc::clone(&store.objects), store.path(&name(number)));
    if let Err(error) = store.requests.ask(request) {
        tracing::debug!("`{}` stays: {error}", store.place(&name(number)));
    }
}

fn create(store: &Store, number: u64, record: &Record, mark: &str) -> io::Result<()> {
    let bytes = serde_json::to_vec(record).map_err(io::Error::other)?;
    let mark = store.marks.then(|| mark.to_owned());
    let request = Store::create(Arc::clone(&store.objects), store.path(&name(number)), bytes.into(), mark);
    let outcome = store.requests.ask(request);
    outcome.map_err(|error| naming("writing", store, number, io_error(&error)))
}

fn read(store: &Store, number: u64) -> io::Result<Record> {
    let (objects, path) = (Arc::clone(&store.objects), store.path(&name(number)));
    let bytes = store.requests.ask(async move { objects.get(&path).await?.bytes().await });
    let bytes = bytes.map_err(|error| naming("reading", store, number, io_error(&error)))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let place = store.place(&name(number));
        io::Error::other(format!("`{place}` is no record of a lease ({error}): move it away if nothing runs"))
    })
}

/// Says which request failed.
fn naming(doing: &str, store: &Store, number: u64, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing} `{}`: {error}", store.place(&name(number))))
}

fn newest(store: &Store) -> io::Result<Option<u64>> {
    let listing = |error: io::Error| io::Error::new(error.kind(), format!("listing: {error}"));
    let names = store.names().map_err(listing)?;
    Ok(names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()).max())
}
