//! A part of a join: its records are matched while they are read.

use std::{
    marker::PhantomData,
    mem::{needs_drop, take},
    slice,
    sync::Arc,
    vec,
};

use super::{Join, JoinForm};
use crate::{
    Block, Key,
    record::Data,
    table::{Found, GROUP, Lists, NONE, give_back},
};

/// Records of the left side with those of the right side among which their matches are.
#[derive(Debug)]
pub struct JoinBlock<K, V, W, F> {
    pub(super) seed: u64,
    pub(super) left: Vec<Vec<(K, V)>>,
    pub(super) right: Right<K, W>,
    /// Whether the records of the right side without a match come behind those of the left side.
    pub(super) ends: bool,
    /// How much work it is: how many records are looked at.
    pub(super) work: usize,
    pub(super) join: Join<(K, V), (K, W)>,
    pub(super) form: PhantomData<F>,
}

/// The side that is looked into.
#[derive(Debug)]
pub(super) enum Right<K, W> {
    /// As it came: the block is the only one that needs it, and puts it in order where the matches are read.
    Records(Vec<Vec<(K, W)>>),
    /// In order.
    Lists(Arc<Lists<K, W>>),
}

impl<K, V, W, F> Drop for JoinBlock<K, V, W, F> {
    fn drop(&mut self) {
        self.left.drain(..).for_each(|mut chunk| {
            chunk.clear();
            give_back(&self.join.left, chunk);
        });
    }
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> JoinBlock<K, V, W, F> {
    /// The right side in order.
    fn order(&mut self) -> Arc<Lists<K, W>> {
        match &mut self.right {
            Right::Lists(lists) => Arc::clone(lists),
            Right::Records(records) => {
                Arc::new(Lists::new(self.seed, take(records), F::RIGHT, &self.join.lists, &self.join.right))
            }
        }
    }

    /// How many records it yields; none of them is made.
    pub(super) fn count(mut self) -> u64 {
        let lists = self.order();
        let matched = count(&self.left, &lists, F::RIGHT, F::LEFT);
        let alone = if self.ends && F::RIGHT { lists.unmet() } else { 0 };
        matched + alone
    }
}

/// How many matches these records have; those that have none count as one if they are `kept`. Keys of the
/// right side that were asked for are marked if that is wanted.
pub(super) fn count<K: Key<Owned = K>, V, W>(
    left: &[Vec<(K, V)>],
    lists: &Lists<K, W>,
    mark: bool,
    kept: bool,
) -> u64 {
    let groups = left.iter().flat_map(|chunk| chunk.chunks(GROUP));
    groups.map(|records| lists.count(records, mark, kept)).sum()
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Block for JoinBlock<K, V, W, F> {
    type Record<'a>
        = (K, F::Out)
    where
        Self: 'a;

    fn records(&mut self) -> impl Iterator<Item = (K, F::Out)> {
        let lists = self.order();
        let left = if self.ends && F::RIGHT { lists.len() } else { 0 };
        Matches {
            lists,
            chunks: self.left.iter_mut(),
            records: None,
            found: Found::default(),
            next: 0,
            taken: 0,
            open: None,
            alone: left,
            form: PhantomData::<F>,
        }
    }

    fn weight(&self) -> usize {
        self.work * size_of::<(K, V, W)>().max(1)
    }
}

/// The matches of a block, in the order of the left side.
struct Matches<'a, K, V, W, F> {
    lists: Arc<Lists<K, W>>,
    chunks: slice::IterMut<'a, Vec<(K, V)>>,
    /// The records of a chunk from the first of a group on.
    records: Option<vec::Drain<'a, (K, V)>>,
    /// The matches of the group, and which of them is next.
    found: Found,
    next: usize,
    /// The record of the group whose matches are being read, and how many are taken with it.
    open: Option<(K, V)>,
    taken: usize,
    /// Before which place the records of the right side are that are still to be looked at for their own
    /// sake.
    alone: usize,
    form: PhantomData<F>,
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Matches<'_, K, V, W, F> {
    /// Whether a copy of a record is as good as the record.
    const PLAIN: bool = !needs_drop::<(K, V)>();

    /// Finds the matches of the next group; `None` behind the last one.
    #[inline(never)]
    fn group(&mut self) -> Option<()> {
        loop {
            if let Some(records) = &mut self.records {
                // What is left of the group before.
                records.by_ref().take(self.found.looked() - self.taken).for_each(drop);
                self.taken = 0;
                self.next = 0;
                self.found.clear();
                if !records.as_slice().is_empty() {
                    self.lists.find(records.as_slice(), F::LEFT, &mut self.found);
                    return Some(());
                }
            }
            self.records = Some(self.chunks.next()?.drain(..));
        }
    }

    /// The record that has the match before `next`: the last one of its matches has the record itself.
    #[inline(always)]
    fn record(&mut self, of: usize) -> Option<(K, V)> {
        let records = self.records.as_mut()?;
        if Self::PLAIN {
            return records.as_slice().get(of).cloned();
        }
        while self.taken <= of {
            self.open = records.next();
            self.taken += 1;
        }
        match self.found.get(self.next) {
            Some((also, _)) if also as usize == of => self.open.clone(),
            _ => self.open.take(),
        }
    }
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Iterator for Matches<'_, K, V, W, F> {
    type Item = (K, F::Out);

    #[inline(always)]
    fn next(&mut self) -> Option<(K, F::Out)> {
        loop {
            if let Some((of, place)) = self.found.get(self.next) {
                self.next += 1;
                let (key, left) = self.record(of as usize)?;
                if F::LEFT && place == NONE {
                    return Some((key, F::left(left)?));
                }
                if F::RIGHT {
                    self.lists.mark(place);
                }
                let right = self.lists.value(place).clone();
                return Some((key, F::both(left, right)));
            }
            if self.group().is_none() {
                break;
            }
        }
        let (place, (key, value)) = self.lists.alone(self.alone)?;
        self.alone = place;
        Some((key.clone(), F::right(value.clone())?))
    }
}
