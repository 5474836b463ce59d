//! How far each shard has been read, as a checkpoint keeps it, and which shards may be read next.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dstream_core::{
    Time,
    checkpoint::{Changes, Stateful, decode},
};
use serde::{Deserialize, Serialize};

use crate::{api::Listed, settings::Start};

/// How far the time up to which a quiet shard has been read moves on, in milliseconds, until it is written.
const QUIET: u64 = 600_000;

/// Where shards are read from of which nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    TrimHorizon,
    /// From this time on, in milliseconds since the epoch.
    Time(u64),
}

/// How far a shard has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Position {
    /// It is known, and no batch has had anything of it.
    Start,
    /// The last entry that a batch has, and the time before which all that had arrived is in a batch.
    At { number: String, until: u64 },
    /// To its end. It is kept for as long as the stream lists it, so that its children may begin and it is
    /// not read again.
    Done,
}

/// What is to be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) shard: Listed,
    pub(crate) position: Position,
    /// Its newest record is the first, since the program starts and is to read what arrives from now on.
    pub(crate) at_latest: bool,
}

/// What a listing of the shards says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) ready: Vec<Ready>,
    /// Records that are gone, and of which shard.
    pub(crate) losses: Vec<String>,
}

/// The positions of all shards that the stream has. Only what has changed is written.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    origin: Option<Origin>,
    origin_changed: bool,
    shards: BTreeMap<String, Kept>,
    removed: Vec<String>,
    /// Shards that are read, or have been read, by this run.
    begun: BTreeSet<String>,
    latest: BTreeSet<String>,
}

#[derive(Debug)]
struct Kept {
    position: Position,
    changed: bool,
}

impl Positions {
    /// A batch has the entries up to and with `number`.
    pub(crate) fn advance(&mut self, shard: &str, number: &str) {
        self.set(shard, |position| {
            let until = if let Position::At { until, .. } = position { *until } else { 0 };
            *position = Position::At { number: number.to_owned(), until };
            true
        });
    }

    /// All that has arrived before this time is in a batch.
    pub(crate) fn read_until(&mut self, shard: &str, time: u64) {
        self.set(shard, |position| {
            let Position::At { until, .. } = position else { return false };
            // So a quiet shard is not written in each batch.
            let far = time >= until.saturating_add(QUIET);
            if far {
                *until = time;
            }
            far
        });
    }

    pub(crate) fn finish(&mut self, shard: &str) {
        self.set(shard, |position| mem::replace(position, Position::Done) != Position::Done);
    }

    /// `change` returns whether what it changes must be written.
    fn set(&mut self, shard: &str, change: impl FnOnce(&mut Position) -> bool) {
        if let Some(kept) = self.shards.get_mut(shard) {
            kept.changed |= change(&mut kept.position);
        }
    }

    fn put(&mut self, shard: &str, position: Position) {
        self.removed.retain(|removed| removed != shard);
        self.shards.insert(shard.to_owned(), Kept { position, changed: true });
    }

    fn remove(&mut self, shard: &str) {
        self.shards.remove(shard);
        self.begun.remove(shard);
        self.removed.push(shard.to_owned());
    }

    fn position(&self, shard: &str) -> Option<&Position> {
        self.shards.get(shard).map(|kept| &kept.position)
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> BTreeMap<&str, &Position> {
        self.shards.iter().map(|(name, kept)| (name.as_str(), &kept.position)).collect()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin.unwrap_or(Origin::TrimHorizon)
    }

    /// Follows splits and merges: what begins now are the shards whose parents have been read to their end.
    /// `date` is the time of the listing at the service. Unless losses are skipped nothing is changed by a
    /// listing that has some: a restart must find them once more.
    pub(crate) fn follow(&mut self, listing: &[Listed], date: u64, start: Start, skip: bool) -> Followed {
        let mut followed = Followed { ready: Vec::new(), losses: self.losses(listing) };
        if !followed.losses.is_empty() && !skip {
            return followed;
        }
        let first = self.origin.is_none();
        if first {
            self.origin = Some(match start {
                Start::TrimHorizon => Origin::TrimHorizon,
                Start::Latest => Origin::Time(date),
                Start::Timestamp(time) => Origin::Time(Time::as_millis(time)),
            });
            self.origin_changed = true;
        }
        for shard in listing {
            match self.position(&shard.id) {
                // What is closed has nothing that arrives from now on.
                None if first && start == Start::Latest && shard.closed => {
                    self.put(&shard.id, Position::Done)
                }
                None => {
                    self.put(&shard.id, Position::Start);
                    if first && start == Start::Latest {
                        self.latest.insert(shard.id.clone());
                    }
                }
                Some(Position::Done) if !shard.closed => {
                    self.begun.remove(&shard.id);
                    self.put(&shard.id, Position::Start);
                }
                Some(_) => {}
            }
        }
        let expired = self.expired(listing);
        expired.into_iter().for_each(|(name, _)| self.remove(&name));
        for shard in listing {
            let waits = |parent: &String| matches!(self.position(parent), Some(position) if *position != Position::Done);
            let Some(position) = self.position(&shard.id) else { continue };
            if *position == Position::Done
                || self.begun.contains(&shard.id)
                || shard.parents.iter().any(waits)
            {
                continue;
            }
            let (shard, position) = (shard.clone(), position.clone());
            let at_latest = self.latest.remove(&shard.id);
            self.begun.insert(shard.id.clone());
            followed.ready.push(Ready { shard, position, at_latest });
        }
        followed
    }

    /// The shards that the stream does not have any more. A closed one is listed until its records have expired.
    fn expired(&self, listing: &[Listed]) -> Vec<(String, Position)> {
        let listed: BTreeSet<&str> = listing.iter().map(|shard| shard.id.as_str()).collect();
        let expired = self.shards.iter().filter(|(name, _)| !listed.contains(name.as_str()));
        expired.map(|(name, kept)| (name.clone(), kept.position.clone())).collect()
    }

    /// What a listing says of records that no batch has had.
    fn losses(&self, listing: &[Listed]) -> Vec<String> {
        let anew = listing.iter().filter(|shard| {
            !shard.closed && self.position(&shard.id).is_some_and(|position| *position == Position::Done)
        });
        let anew = anew.map(|Listed { id, .. }| {
            format!("{id}, which had been read to its end, is open: was the stream deleted and made anew?")
        });
        let expired = self.expired(listing).into_iter().filter_map(|(name, position)| {
            let read = match position {
                Position::Done => return None,
                Position::Start => "of which nothing had been read".to_owned(),
                Position::At { number, .. } => format!("which had been read up to {number}"),
            };
            Some(format!(
                "{name}, {read}, is no more among the shards of the stream: what followed has expired, or the \
                 stream was made anew"
            ))
        });
        anew.chain(expired).collect()
    }

    fn take_changed(&mut self) -> (Option<Origin>, Vec<(&str, &Position)>, Vec<String>) {
        let origin = mem::take(&mut self.origin_changed).then_some(self.origin).flatten();
        let changed = self.shards.iter_mut().filter_map(|(name, kept)| {
            mem::take(&mut kept.changed).then_some((name.as_str(), &kept.position))
        });
        (origin, changed.collect(), mem::take(&mut self.removed))
    }
}

/// The positions that the plan of a batch and the tasks that read share. A checkpoint has an entry a shard,
/// and one without a name, the origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedPositions(Arc<Mutex<Positions>>);

impl SharedPositions {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stateful for SharedPositions {
    fn fingerprint(&self) -> String {
        "kinesis: shard -> position".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        let mut positions = self.lock();
        let (origin, changed, removed) = positions.take_changed();
        if let Some(origin) = origin {
            out.put("", &origin);
        }
        changed.into_iter().for_each(|(name, position)| out.put(name, position));
        removed.iter().for_each(|name| out.delete(name.as_str()));
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let mut positions = self.lock();
        let name: String = decode(key)?;
        if name.is_empty() {
            positions.origin = Some(decode(value)?);
        } else {
            positions.shards.insert(name, Kept { position: decode(value)?, changed: false });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "positions_tests.rs"]
mod tests;
