//! Groups: the values of each key behind one another, in one vector for all keys of a bucket.

use std::{iter, mem::needs_drop, ops::Range};

use super::{
    Entry, Places, Share, Table,
    index::{GROUP, Index},
    place::bucket,
    tally::Watch,
};
use crate::{Key, Record, record::Portable, short::Short};

/// The sink of grouping: keeps the values of a task as they come, each with the number of its key.
///
/// Where hardly any key comes twice, keys are not looked for any more: each value then has a key of its own, and the keys that are
/// the same meet when the tasks are put together.
#[derive(Debug)]
pub struct Grouping<K, V> {
    places: Places,
    /// Where the values of a key go: the bucket, and the number of the key there. Nothing, once it was of no use.
    short: Option<Index<(u32, u32)>>,
    long: Table<K, ()>,
    watch: Watch,
    /// Short keys that have not been looked up: a group at a time.
    waiting: Vec<(Short, V)>,
    shares: Vec<Ungrouped<K, V>>,
}

/// What a task has for one bucket.
#[derive(Debug)]
pub struct Ungrouped<K, V> {
    short: Numbered<Short, V>,
    long: Numbered<(Short, K), V>,
}

/// Values, each with the number of its key.
#[derive(Debug)]
struct Numbered<T, V> {
    keys: Vec<T>,
    numbers: Vec<u32>,
    values: Vec<V>,
}

impl<T, V> Numbered<T, V> {
    fn new() -> Self {
        Numbered { keys: Vec::new(), numbers: Vec::new(), values: Vec::new() }
    }

    #[inline]
    fn push(&mut self, number: u32, value: V) {
        self.numbers.push(number);
        self.values.push(value);
    }
}

impl<K, V> Ungrouped<K, V> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.short.values.len() + self.long.values.len()
    }

    /// How many keys, of which some may be the same.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.short.keys.len() + self.long.keys.len()
    }
}

impl<K, V> Grouping<K, V> {
    /// Nothing in any of `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        let places = Places::new(seed);
        let empty = || Ungrouped { short: Numbered::new(), long: Numbered::new() };
        Grouping {
            short: Some(Index::new(places.clone())),
            places,
            long: Table::new(seed),
            watch: Watch::new(),
            waiting: Vec::with_capacity(GROUP),
            shares: iter::repeat_with(empty).take(buckets).collect(),
        }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let value = value.own();
        match key.short() {
            Some(id) => {
                self.waiting.push((id, value));
                if self.waiting.len() == GROUP {
                    self.flush();
                }
            }
            None => {
                let id = self.places.id(&key);
                let at = self.long.intern_with(id, key, || ());
                let bucket = bucket(self.places.hash(id), self.shares.len());
                self.shares[bucket].long.push(at as u32, value);
            }
        }
    }

    /// Looks up what waits.
    #[inline]
    fn flush(&mut self) {
        let (places, shares) = (&self.places, &mut self.shares);
        let add = |shares: &mut [Ungrouped<K, V>], id: Short| {
            let bucket = bucket(places.hash(id), shares.len());
            let keys = &mut shares[bucket].short.keys;
            keys.push(id);
            (bucket as u32, keys.len() as u32 - 1)
        };
        let Some(index) = &mut self.short else {
            for (id, value) in self.waiting.drain(..) {
                let (bucket, number) = add(shares, id);
                shares[bucket as usize].short.push(number, value);
            }
            return;
        };
        let met = index.meet(self.waiting.iter().map(|(id, _)| *id));
        for ((id, value), met) in self.waiting.drain(..).zip(met) {
            let at = match index.found(id, met) {
                Ok(at) => at,
                Err(slot) => index.insert(slot, id, add(shares, id)),
            };
            let (bucket, number) = index.entries()[at].1;
            shares[bucket as usize].short.push(number, value);
        }
        if self.watch.sees_no_use(index.entries().len()) {
            self.short = None;
        }
    }

    /// What the task has, by bucket.
    pub fn done(mut self) -> Vec<Ungrouped<K, V>> {
        self.flush();
        // A long key is where it can be compared until here; now it goes to its values.
        let mut numbers = Vec::with_capacity(self.long.len());
        for (id, key, ()) in self.long.into_entries().filter_map(Entry::into_parts) {
            let bucket = bucket(self.places.hash(id), self.shares.len());
            let keys = &mut self.shares[bucket].long.keys;
            numbers.push(keys.len() as u32);
            keys.push((id, key));
        }
        for share in &mut self.shares {
            share.long.numbers.iter_mut().for_each(|number| *number = numbers[*number as usize]);
        }
        self.shares
    }
}

/// The groups of one bucket.
#[derive(Debug, Clone)]
pub struct Groups<K, V> {
    short: Vec<Short>,
    /// The keys behind the short ones.
    long: Vec<(Short, K)>,
    /// Where the values of each key end, and those of the next one begin.
    ends: Vec<usize>,
    /// Those of a key are in their order.
    values: Vec<V>,
}

/// Puts together what the tasks have for one bucket, in the order of the tasks.
pub(crate) fn group<K: Key<Owned = K>, V: Clone>(seed: u64, column: Vec<Ungrouped<K, V>>) -> Groups<K, V> {
    let most = |len: fn(&Ungrouped<K, V>) -> usize| column.iter().map(len).max().unwrap_or(0);
    let mut short: Index<()> = Index::with_capacity(Places::new(seed), most(|share| share.short.keys.len()));
    let mut long = Table::with_capacity(seed, most(|share| share.long.keys.len()));
    let mut tasks = Vec::with_capacity(column.len() * 2);
    let mut longs = Vec::with_capacity(column.len());
    let mut counts = Vec::new();
    for share in column {
        longs.push(share.long);
        let Numbered { keys, numbers, values } = share.short;
        let indices = short.intern(&keys);
        counts.resize(short.live(), 0);
        tasks.push((renumbered(numbers, &indices, &mut counts), values));
    }
    let first = short.live();
    for Numbered { keys, numbers, values } in longs {
        let indices: Vec<u32> =
            keys.into_iter().map(|(id, key)| (first + long.intern_with(id, key, || ())) as u32).collect();
        counts.resize(first + long.live(), 0);
        tasks.push((renumbered(numbers, &indices, &mut counts), values));
    }
    // Where each key begins, and, when its values are in their places, where it ends.
    let mut ends = counts;
    let mut all = 0;
    for end in &mut ends {
        all += std::mem::replace(end, all);
    }
    let values = arranged(tasks, &mut ends, all);
    Groups {
        short: short.into_entries().into_iter().map(|(id, ())| id).collect(),
        long: long
            .into_entries()
            .filter_map(|entry| entry.into_parts().map(|(id, key, ())| (id, key)))
            .collect(),
        ends,
        values,
    }
}

/// Numbers keys as all tasks do, and counts the values of each.
fn renumbered(mut numbers: Vec<u32>, indices: &[u32], counts: &mut [usize]) -> Vec<u32> {
    for number in &mut numbers {
        *number = indices[*number as usize];
        counts[*number as usize] += 1;
    }
    numbers
}

/// The values in the order of their keys. `starts` is where each key begins, and then where it ends.
fn arranged<V: Clone>(tasks: Vec<(Vec<u32>, Vec<V>)>, starts: &mut [usize], all: usize) -> Vec<V> {
    let values = tasks.into_iter().flat_map(|(numbers, values)| iter::zip(numbers, values));
    let mut place = |number: u32| {
        let start = &mut starts[number as usize];
        *start += 1;
        *start - 1
    };
    if needs_drop::<V>() {
        let mut out = vec![None; all];
        values.for_each(|(number, value)| out[place(number)] = Some(value));
        return out.into_iter().flatten().collect();
    }
    // What has nothing to drop is as cheap to overwrite as a free place, and plain numbers need half of the room.
    let mut values = values.peekable();
    let Some((_, filler)) = values.peek() else { return Vec::new() };
    let mut out = vec![filler.clone(); all];
    values.for_each(|(number, value)| out[place(number)] = value);
    out
}

impl<K, V> Groups<K, V> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// All values, those of each key together.
    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    /// Where the values of each key are.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        iter::zip(iter::once(&0).chain(&self.ends), &self.ends).map(|(from, to)| *from..*to)
    }
}

impl<K: Key<Owned = K>, V> Groups<K, V> {
    /// Looks up each key in a table with the same seed, where it gets what `create` gives if it is new; `each` is told its index,
    /// and where its values are.
    pub(crate) fn intern_into<T>(
        &self,
        table: &mut Table<K, T>,
        create: impl Fn() -> T,
        mut each: impl FnMut(usize, Range<usize>),
    ) where
        K: Clone,
    {
        let mut ranges = self.ranges();
        for (id, values) in iter::zip(&self.short, ranges.by_ref()) {
            each(table.intern_short(*id, &create), values);
        }
        for ((id, key), values) in iter::zip(&self.long, ranges) {
            each(table.intern_with(*id, key, &create), values);
        }
    }

    /// A vector for each key.
    pub(crate) fn into_vectors(self) -> Share<K, Vec<V>> {
        let lens: Vec<usize> = self.ranges().map(|range| range.len()).collect();
        let mut values = self.values.into_iter();
        let mut vectors = lens.into_iter().map(|len| Some(values.by_ref().take(len).collect()));
        let short = iter::zip(self.short, vectors.by_ref()).collect();
        let long = iter::zip(self.long, vectors).map(|((id, key), value)| Entry { id, key, value }).collect();
        Share { short, long }
    }
}
