//! A shard that is read: what has been fetched of it and no batch has had.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    budget::Permit,
    page::{Page, ShardId},
};

/// What the task that reads puts in, and the plan of a batch takes out.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) id: Arc<ShardId>,
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    pages: VecDeque<Slice>,
    records: u64,
    /// All that has arrived before this time has been fetched; in milliseconds.
    until: u64,
    /// There will be no more.
    ended: bool,
}

/// Neighbouring entries of a page.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) page: Arc<Held>,
    pub(crate) entries: Range<usize>,
}

/// A page, and what it counts for in the buffer of its source.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) page: Page,
    pub(crate) _permit: Option<Permit>,
}

/// What a batch takes of a shard.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The numbers of the first and of the last entry.
    pub(crate) from: String,
    pub(crate) through: String,
    pub(crate) records: u64,
    pub(crate) slices: Vec<Slice>,
}

/// How a shard is after a batch has taken of it.
pub(crate) struct Rest {
    /// Nothing is left, and nothing will come.
    pub(crate) is_drained: bool,
    /// All that has arrived before this time is in a batch; `None` if something waits.
    pub(crate) until: Option<u64>,
}

impl Shard {
    pub(crate) fn new(id: Arc<ShardId>) -> Shard {
        Shard { id, fetched: Mutex::default() }
    }

    /// Adds the entries that follow, and says up to which time there are no others.
    pub(crate) fn push(&self, slice: Option<Slice>, until: u64, ended: bool) {
        let mut fetched = self.lock();
        if let Some(slice) = slice.filter(|slice| !slice.entries.is_empty()) {
            fetched.records += slice.page.page.count(&slice.entries);
            fetched.pages.push_back(slice);
        }
        fetched.until = fetched.until.max(until);
        fetched.ended |= ended;
    }

    /// How many records no batch has yet. An aggregated record of none counts, too: somebody must take it.
    pub(crate) fn waiting(&self) -> u64 {
        let fetched = self.lock();
        fetched.records.max(u64::from(!fetched.pages.is_empty()))
    }

    pub(crate) fn rest(&self) -> Rest {
        let fetched = self.lock();
        let is_empty = fetched.pages.is_empty();
        Rest { is_drained: fetched.ended && is_empty, until: is_empty.then_some(fetched.until) }
    }

    /// Takes so many records, or a few more if they are aggregated; `None` if there is none.
    pub(crate) fn take(&self, most: u64) -> Option<Taken> {
        let mut fetched = self.lock();
        let (mut records, mut slices) = (0, Vec::new());
        while records < most {
            let Some(first) = fetched.pages.front_mut() else { break };
            let (page, Range { start, end }) = (Arc::clone(&first.page), first.entries.clone());
            let mut behind = start;
            while behind < end && records < most {
                records += page.page.count(&(behind..behind + 1));
                behind += 1;
            }
            first.entries.start = behind;
            if behind == end {
                fetched.pages.pop_front();
            }
            slices.push(Slice { page, entries: start..behind });
        }
        fetched.records = fetched.records.saturating_sub(records);
        let first = slices.first().and_then(|slice| slice.page.page.sequence(slice.entries.start));
        let last = slices.last().and_then(|slice| slice.page.page.sequence(slice.entries.end - 1));
        let (from, through) = (first?.to_owned(), last?.to_owned());
        Some(Taken { from, through, records, slices })
    }

    fn lock(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many records each shard gives to a batch that may have `limit` in all: in proportion to what waits, so
/// that those that are behind catch up. What is rounded down is given to those behind: `turn` says who is first, so that
/// each is last now and then, and a shard with a record among thousands of others is not left waiting.
pub(crate) fn shares(waiting: &[u64], limit: Option<u64>, turn: u64) -> Vec<u64> {
    let total: u128 = waiting.iter().map(|n| u128::from(*n)).sum();
    let Some(limit) = limit.map(u128::from).filter(|limit| *limit < total) else { return waiting.to_vec() };
    // What is due up to and with each shard, rounded down: the differences add up to the limit.
    let (mut sum, mut given) = (0, 0);
    let share = |n: &u64| {
        sum += u128::from(*n);
        let due = sum * limit / total;
        let share = due - given;
        given = due;
        u64::try_from(share).unwrap_or(u64::MAX)
    };
    let first = usize::try_from(turn % waiting.len().max(1) as u64).unwrap_or(0);
    let (before, behind) = waiting.split_at_checked(first).unwrap_or((waiting, &[]));
    let mut shares: Vec<u64> = behind.iter().chain(before).map(share).collect();
    shares.rotate_right(before.len().min(waiting.len()));
    shares
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{api::RecordAnswer, page::HashRange};

    /// Entries with these numbers.
    fn slice(id: &Arc<ShardId>, numbers: Range<u32>) -> Slice {
        let mut page = Page::new(id);
        for number in numbers {
            let text = |text: &str| Cow::Owned(text.to_owned());
            let record = RecordAnswer {
                sequence_number: text(&number.to_string()),
                partition_key: text("key"),
                data: text(""),
                approximate_arrival_timestamp: None,
            };
            page.push(&record).unwrap();
        }
        let entries = 0..page.len();
        Slice { page: Arc::new(Held { page, _permit: None }), entries }
    }

    #[test]
    fn a_shard_is_drained_when_batches_have_all_of_it() {
        let shard = Shard::new(Arc::new(ShardId { name: "shardId-0".into(), hashes: HashRange::ALL }));
        shard.push(Some(slice(&shard.id, 10..14)), 5, false);
        shard.push(Some(slice(&shard.id, 14..16)), 6, true);
        let taken = shard.take(3).unwrap();
        assert_eq!((taken.from.as_str(), taken.through.as_str(), taken.records), ("10", "12", 3));
        let rest = shard.rest();
        assert_eq!((rest.is_drained, rest.until, shard.waiting()), (false, None, 3));
        let taken = shard.take(9).unwrap();
        assert_eq!((taken.from.as_str(), taken.through.as_str(), taken.slices.len()), ("13", "15", 2));
        let rest = shard.rest();
        assert_eq!((rest.is_drained, rest.until, shard.waiting()), (true, Some(6), 0));
        assert!(shard.take(1).is_none());
    }

    #[test]
    fn a_limit_is_shared_out_by_lag() {
        assert_eq!(shares(&[10, 20, 0], None, 7), [10, 20, 0]);
        assert_eq!(shares(&[100, 300, 0], Some(100), 0), [25, 75, 0]);
        assert_eq!(shares(&[100, 300, 0], Some(100), 1), [25, 75, 0]);
        assert_eq!(shares(&[1, 1, 1], Some(2), 2).iter().sum::<u64>(), 2);
        assert_eq!(shares(&[u64::MAX, u64::MAX], Some(7), 1).iter().sum::<u64>(), 7);
        assert_eq!(shares(&[0, 0], Some(7), 1), [0, 0]);
        assert_eq!(shares(&[5, 5], Some(0), 1), [0, 0]);
        assert_eq!(shares(&[], Some(0), 1), [0; 0]);
    }

    #[test]
    fn a_shard_with_little_is_not_left_waiting() {
        let waiting = [1, 100_000, 1];
        let of_each_turn: Vec<_> = (0..3).map(|turn| shares(&waiting, Some(1_000), turn)).collect();
        assert!((0..3).all(|shard| of_each_turn.iter().any(|shares| shares[shard] > 0)), "{of_each_turn:?}");
    }
}
