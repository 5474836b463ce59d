//! The hash table of a join: records of the build side, probed with the keys of the other side.

use std::{
    mem::{needs_drop, take},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{BufferPool, KeyHasher, index::PROBE_GROUP, scatter::recycle};
use crate::Key;

/// A hash table with chaining: the records of the build side, with a list for each slot in the order of the
/// records.
#[derive(Debug)]
pub(crate) struct JoinTable<K, W> {
    hasher: KeyHasher,
    /// For each slot, the position of its first record plus one; 0 if it has none.
    heads: Vec<u32>,
    /// The last record comes first.
    links: Vec<Link<(K, W)>>,
    /// Whether a record was matched. Tasks that probe at the same time only ever set it to true.
    matched: Vec<AtomicBool>,
    pool: JoinTablePool<(K, W)>,
}

/// The position that stands for a probe record without a match.
pub(crate) const NO_MATCH: u32 = u32::MAX;

/// How many matches are collected at a time, apart from those of a single record.
const MAX_MATCHES: usize = 256;

/// The matches of a few probe records, in the order of these and of the build side.
#[derive(Debug, Default)]
pub(crate) struct ProbeResult {
    /// The number of a probe record and the position of its match. The first `n` are valid.
    matches: Vec<(u32, u32)>,
    n: usize,
    probed: u32,
}

impl ProbeResult {
    /// The number of probe records.
    pub(crate) fn probed(&self) -> usize {
        self.probed as usize
    }

    /// A match: the number of the probe record, and the position on the build side.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<(u32, u32)> {
        if at < self.n { self.matches.get(at).copied() } else { None }
    }

    pub(crate) fn clear(&mut self) {
        (self.n, self.probed) = (0, 0);
    }

    /// Adds a match of the current probe record.
    fn push(&mut self, place: u32) {
        self.matches.truncate(self.n);
        self.matches.push((self.probed, place));
        self.n += 1;
    }
}

/// A record, and the position plus one of the next record in its list.
#[derive(Debug)]
struct Link<T> {
    record: T,
    next: u32,
}

/// The buffers of join tables, reused across batches.
#[derive(Debug)]
pub(crate) struct JoinTablePool<T> {
    links: BufferPool<Link<T>>,
    heads: BufferPool<u32>,
}

impl<T> Clone for JoinTablePool<T> {
    fn clone(&self) -> Self {
        JoinTablePool { links: self.links.clone(), heads: self.heads.clone() }
    }
}

impl<T> Default for JoinTablePool<T> {
    fn default() -> Self {
        JoinTablePool { links: BufferPool::default(), heads: BufferPool::default() }
    }
}

impl<K, W> Drop for JoinTable<K, W> {
    fn drop(&mut self) {
        // A buffer that is mostly empty is from a larger batch, and is freed.
        if self.links.len() >= self.links.capacity() / 4 {
            self.pool.links.put(take(&mut self.links));
            self.pool.heads.put(take(&mut self.heads));
        }
    }
}

impl<K: Key<Owned = K>, W> JoinTable<K, W> {
    /// Builds the table of the records in `chunks`; the emptied chunks go to the pool `chunk_pool`. With
    /// `track`, matched records are tracked, for [`next_unmatched`](JoinTable::next_unmatched).
    pub(crate) fn new(
        seed: u64,
        chunks: Vec<Vec<(K, W)>>,
        track: bool,
        pool: &JoinTablePool<(K, W)>,
        chunk_pool: &BufferPool<(K, W)>,
    ) -> Self {
        let hasher = KeyHasher::new(seed);
        let n: usize = chunks.iter().map(Vec::len).sum();
        let mut links = pool.links.take().unwrap_or_default();
        links.reserve(n);
        let mut heads = pool.heads.take().unwrap_or_default();
        heads.resize((n * 2).next_power_of_two(), 0);
        let mask = heads.len() - 1;
        // From the last record to the first, since records are inserted at the front of their lists.
        for mut chunk in chunks.into_iter().rev() {
            for (key, value) in chunk.drain(..).rev() {
                let home = hasher.hash(hasher.id(&key)) as usize & mask;
                let next = std::mem::replace(&mut heads[home], links.len() as u32 + 1);
                links.push(Link { record: (key, value), next });
            }
            recycle(chunk_pool, chunk);
        }
        let matched = (0..if track { n } else { 0 }).map(|_| AtomicBool::new(false)).collect();
        JoinTable { hasher, heads, links, matched, pool: pool.clone() }
    }

    #[inline]
    fn home(&self, key: &K) -> usize {
        self.hasher.hash(self.hasher.id(key)) as usize & (self.heads.len() - 1)
    }

    /// The list heads for up to [`PROBE_GROUP`] probe records. Reading them together lets the CPU overlap the
    /// cache misses.
    #[inline]
    fn heads<V>(&self, records: &[(K, V)]) -> [u32; PROBE_GROUP] {
        let mut heads = [0; PROBE_GROUP];
        for (head, (key, _)) in heads.iter_mut().zip(records) {
            *head = self.heads[self.home(key)];
        }
        heads
    }

    /// Walks the lists of at most [`PROBE_GROUP`] probe records, and calls `visit` with the number of a probe
    /// record, a position in its list, and whether the keys are equal. Stops with `false` before it exceeds
    /// `max_steps`.
    ///
    /// It advances all lists by one record in turn, so the CPU never has to predict the length of a list.
    #[inline]
    fn walk<V>(&self, records: &[(K, V)], max_steps: usize, mut visit: impl FnMut(u32, u32, bool)) -> bool {
        let mut open = [(0, 0u32); PROBE_GROUP];
        let (mut going, mut steps) = (0, 0);
        for (of, head) in self.heads(records).into_iter().enumerate() {
            open[going] = (head, of as u32);
            going += usize::from(head != 0);
        }
        while going > 0 {
            steps += going;
            if steps > max_steps {
                return false;
            }
            let mut still = 0;
            for step in 0..going {
                let (at, of) = open[step];
                let Link { record, next } = &self.links[at as usize - 1];
                visit(of, at - 1, records[of as usize].0.same_key(&record.0));
                open[still] = (*next, of);
                still += usize::from(*next != 0);
            }
            going = still;
        }
        true
    }

    /// Counts the matches of up to [`PROBE_GROUP`] probe records. With `outer`, a record without a match
    /// counts as one. With `track`, matched records of the build side are marked.
    #[inline]
    pub(crate) fn count<V>(&self, records: &[(K, V)], track: bool, outer: bool) -> u64 {
        let (mut n, mut has) = (0, [false; PROBE_GROUP]);
        self.walk(records, usize::MAX, |of, place, same| {
            if track && same {
                self.mark_matched(place);
            }
            n += u64::from(same);
            has[of as usize] |= same;
        });
        if outer {
            n += has.iter().take(records.len()).filter(|has| !**has).count() as u64;
        }
        n
    }

    /// Finds the matches of the first of these probe records: of at least one, and of at most
    /// [`PROBE_GROUP`]. With `outer`, a record without a match gets one at [`NO_MATCH`].
    pub(crate) fn find<V>(&self, records: &[(K, V)], outer: bool, found: &mut ProbeResult) {
        let records = &records[..records.len().min(PROBE_GROUP)];
        found.clear();
        // Expensive comparisons are only made one record at a time.
        if needs_drop::<K>() || !self.find_group(records, outer, found) {
            self.find_each(records, outer, found);
        }
    }

    /// Probes one record after the other.
    fn find_each<V>(&self, records: &[(K, V)], outer: bool, found: &mut ProbeResult) {
        for (head, (key, _)) in self.heads(records).into_iter().zip(records) {
            let (mut at, before) = (head, found.n);
            while at != 0 {
                let Link { record, next } = &self.links[at as usize - 1];
                if key.same_key(&record.0) {
                    found.push(at - 1);
                }
                at = *next;
            }
            if outer && found.n == before {
                found.push(NO_MATCH);
            }
            found.probed += 1;
            if found.n > MAX_MATCHES {
                break;
            }
        }
    }

    /// Probes all records together, unless their lists are long, and sorts the matches by probe record.
    fn find_group<V>(&self, records: &[(K, V)], outer: bool, found: &mut ProbeResult) -> bool {
        let mut matches = [(0, 0); MAX_MATCHES];
        let mut each = [0; PROBE_GROUP];
        let mut n = 0;
        let complete = self.walk(records, MAX_MATCHES, |of, place, same| {
            matches[n % MAX_MATCHES] = (of, place);
            n += usize::from(same);
            each[of as usize] += u32::from(same);
        });
        if !complete {
            return false;
        }
        if found.matches.len() < MAX_MATCHES + PROBE_GROUP {
            found.matches.resize(MAX_MATCHES + PROBE_GROUP, (0, 0));
        }
        // From here on, `each` holds the position at which the next match of a record is stored.
        for (of, each) in each.iter_mut().enumerate().take(records.len()) {
            found.matches[found.n] = (of as u32, NO_MATCH);
            let n = *each;
            *each = found.n as u32;
            found.n += n.max(u32::from(outer)) as usize;
        }
        for (of, place) in &matches[..n] {
            let to = &mut each[*of as usize];
            found.matches[*to as usize] = (*of, *place);
            *to += 1;
        }
        found.probed = records.len() as u32;
        true
    }

    /// The value at a position.
    #[inline]
    pub(crate) fn value(&self, place: u32) -> &W {
        &self.links[place as usize].record.1
    }

    /// Marks the record at a position as matched.
    #[inline]
    pub(crate) fn mark_matched(&self, place: u32) {
        self.matched[place as usize].store(true, Relaxed);
    }

    /// The next unmatched record, in the order of the build side, and its position: the last one that is
    /// stored before position `before`.
    pub(crate) fn next_unmatched(&self, before: usize) -> Option<(usize, &(K, W))> {
        let place = (0..before).rev().find(|place| !self.matched[*place].load(Relaxed))?;
        Some((place, &self.links[place].record))
    }

    /// The number of records that were not matched.
    pub(crate) fn count_unmatched(&self) -> u64 {
        self.matched.iter().filter(|matched| !matched.load(Relaxed)).count() as u64
    }

    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// The length of the list that a key belongs to, from [`lengths`](JoinTable::lengths).
    pub(crate) fn length(&self, lengths: &[u32], key: &K) -> usize {
        lengths[self.home(key)] as usize
    }

    /// The length of each list, by slot.
    pub(crate) fn lengths(&self) -> Vec<u32> {
        let mut lengths = vec![0; self.heads.len()];
        self.links.iter().for_each(|link| lengths[self.home(&link.record.0)] += 1);
        lengths
    }
}
