//! A partition that is read: what has been fetched of it and no batch has had.

use std::{
    collections::VecDeque,
    fmt, mem,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rdkafka::message::Message;

use crate::chunk::{Chunk, ChunkPool};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionId {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// What the thread that reads puts in, and the plan of a batch takes out.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    fetched: Mutex<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    /// The first offset that no batch has.
    next: i64,
    chunks: VecDeque<Chunk>,
    /// How many messages of the first chunk are in a batch already.
    taken: usize,
    /// The chunk of which batches have a part.
    shared: Option<Arc<Chunk>>,
    messages: u64,
}

/// Messages that belong to a batch.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) range: Range<usize>,
}

/// What a batch takes of a partition.
#[derive(Debug)]
pub(crate) struct Taken {
    /// From the first offset that no batch had, up to behind the last that this one has.
    pub(crate) offsets: Range<i64>,
    pub(crate) slices: Vec<Slice>,
}

impl Partition {
    pub(crate) fn new(id: PartitionId, next: i64) -> Partition {
        let fetched = Fetched { next, chunks: VecDeque::new(), taken: 0, shared: None, messages: 0 };
        Partition { id, fetched: Mutex::new(fetched) }
    }

    /// Adds the message that follows.
    pub(crate) fn push(&self, message: &impl Message, chunks: &ChunkPool) {
        let mut fetched = self.lock();
        // After a client has been reconnected it may begin a little before where it was.
        if message.offset() < fetched.behind() {
            return;
        }
        if fetched.chunks.back().is_none_or(Chunk::is_full) {
            let (topic, number) = (Arc::clone(&self.id.topic), self.id.number);
            // What follows a full chunk will hardly be the last.
            let chunk = match fetched.chunks.is_empty() {
                true => chunks.small(topic, number),
                false => chunks.large(topic, number),
            };
            fetched.chunks.push_back(chunk);
        }
        fetched.messages += 1;
        if let Some(chunk) = fetched.chunks.back_mut() {
            chunk.push(message);
        }
    }

    /// How many messages no batch has yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().messages
    }

    /// The first offset that has not been fetched.
    pub(crate) fn behind(&self) -> i64 {
        self.lock().behind()
    }

    /// Goes on from here, although messages before it have not been read.
    pub(crate) fn skip_to(&self, offset: i64) {
        let mut fetched = self.lock();
        if fetched.messages == 0 {
            fetched.next = fetched.next.max(offset);
        }
    }

    /// The topic was deleted and made again.
    pub(crate) fn begin_anew(&self, offset: i64) {
        let mut fetched = self.lock();
        if fetched.messages == 0 {
            fetched.next = offset;
            fetched.shared = None;
        }
    }

    /// Takes at most so many messages; `None` if there is none.
    pub(crate) fn take(&self, most: u64) -> Option<Taken> {
        let mut fetched = self.lock();
        let from = fetched.next;
        let mut left = most.min(fetched.messages);
        let mut slices = Vec::new();
        while left > 0 {
            let Some(chunk) = fetched.head() else { break };
            let taken = fetched.taken;
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len() - taken);
            let range = taken..taken + n;
            if let Some(last) = chunk.offset(range.end - 1) {
                fetched.next = last + 1;
            }
            fetched.taken = range.end;
            if range.end == chunk.len() {
                (fetched.shared, fetched.taken) = (None, 0);
            }
            left -= n as u64;
            fetched.messages -= n as u64;
            slices.push(Slice { chunk, range });
        }
        (!slices.is_empty()).then(|| Taken { offsets: from..fetched.next, slices })
    }

    fn lock(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetched {
    fn behind(&self) -> i64 {
        let last = |chunk: &Chunk| chunk.offset(chunk.len().wrapping_sub(1)).map(|last| last + 1);
        let last = self.chunks.back().and_then(last).or_else(|| self.shared.as_deref().and_then(last));
        last.unwrap_or(self.next)
    }

    /// The chunk that the next message is in, closed.
    fn head(&mut self) -> Option<Arc<Chunk>> {
        if self.shared.is_none() {
            self.shared = self.chunks.pop_front().map(Arc::new);
            self.taken = 0;
        }
        self.shared.clone()
    }
}

/// How many messages each partition gives to a batch that may have `limit` in all: in proportion to what
/// waits, so that those that are behind catch up.
pub(crate) fn shares(waiting: &[u64], limit: Option<u64>, most: Option<u64>) -> Vec<u64> {
    let capped: Vec<u64> = waiting.iter().map(|n| most.map_or(*n, |most| most.min(*n))).collect();
    let total: u128 = capped.iter().map(|n| u128::from(*n)).sum();
    let Some(limit) = limit.map(u128::from).filter(|limit| *limit < total) else { return capped };
    // What is due up to and with each partition, rounded down: the differences add up to the limit.
    let mut sum = 0u128;
    let mut given = 0u128;
    let share = |n: u64| {
        sum += u128::from(n);
        let due = sum * limit / total.max(1);
        (due - mem::replace(&mut given, due)) as u64
    };
    capped.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shared_out_by_lag() {
        assert_eq!(shares(&[10, 20, 0], None, None), [10, 20, 0]);
        assert_eq!(shares(&[10, 20, 0], None, Some(15)), [10, 15, 0]);
        assert_eq!(shares(&[100, 300, 0], Some(100), None), [25, 75, 0]);
        assert_eq!(shares(&[1, 1, 1], Some(2), None).iter().sum::<u64>(), 2);
        assert_eq!(shares(&[u64::MAX, u64::MAX], Some(7), None).iter().sum::<u64>(), 7);
        assert_eq!(shares(&[0, 0], Some(7), None), [0, 0]);
        assert_eq!(shares(&[5, 5], Some(0), None), [0, 0]);
    }
}
