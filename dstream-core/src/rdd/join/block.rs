//! The block of a join: its matches are enumerated while it is read.

use std::{
    marker::PhantomData,
    mem::{needs_drop, take},
    slice,
    sync::Arc,
    vec,
};

use super::{Join, JoinForm};
use crate::{
    Key,
    block::Block,
    record::Data,
    table::{JoinTable, NO_MATCH, PROBE_GROUP, ProbeResult, recycle},
};

/// Records of the probe side, with the records of the build side among which their matches are.
#[derive(Debug)]
pub struct JoinBlock<K, V, W, F> {
    pub(super) seed: u64,
    pub(super) left: Vec<Vec<(K, V)>>,
    pub(super) right: BuildSide<K, W>,
    /// Whether unmatched records of the build side follow the matches.
    pub(super) emits_unmatched: bool,
    /// The number of records that are read, as a measure of work.
    pub(super) work: usize,
    pub(super) join: Join<(K, V), (K, W)>,
    pub(super) form: PhantomData<F>,
}

/// The side whose records are put into a hash table.
#[derive(Debug)]
pub(super) enum BuildSide<K, W> {
    /// Plain records: only this block needs them, and it builds the table when its matches are read.
    Records(Vec<Vec<(K, W)>>),
    /// A table that several blocks share.
    Table(Arc<JoinTable<K, W>>),
}

impl<K, V, W, F> Drop for JoinBlock<K, V, W, F> {
    fn drop(&mut self) {
        self.left.drain(..).for_each(|mut chunk| {
            chunk.clear();
            recycle(&self.join.left, chunk);
        });
    }
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> JoinBlock<K, V, W, F> {
    /// Builds the table of the build side, unless it is built.
    fn table(&mut self) -> Arc<JoinTable<K, W>> {
        match &mut self.right {
            BuildSide::Table(table) => Arc::clone(table),
            BuildSide::Records(records) => Arc::new(JoinTable::new(
                self.seed,
                take(records),
                F::RIGHT,
                &self.join.tables,
                &self.join.right,
            )),
        }
    }

    /// Counts the records that it yields, without creating them.
    pub(super) fn count(mut self) -> u64 {
        let table = self.table();
        let matched = count(&self.left, &table, F::RIGHT, F::LEFT);
        let unmatched = if self.emits_unmatched && F::RIGHT { table.count_unmatched() } else { 0 };
        matched + unmatched
    }
}

/// Counts the matches of these probe records. With `outer`, a record without a match counts as one. With
/// `track`, matched records of the build side are marked.
pub(super) fn count<K: Key<Owned = K>, V, W>(
    left: &[Vec<(K, V)>],
    table: &JoinTable<K, W>,
    track: bool,
    outer: bool,
) -> u64 {
    let groups = left.iter().flat_map(|chunk| chunk.chunks(PROBE_GROUP));
    groups.map(|records| table.count(records, track, outer)).sum()
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Block for JoinBlock<K, V, W, F> {
    type Record<'a>
        = (K, F::Out)
    where
        Self: 'a;

    fn records(&mut self) -> impl Iterator<Item = (K, F::Out)> {
        let table = self.table();
        let unmatched = if self.emits_unmatched && F::RIGHT { table.len() } else { 0 };
        Matches {
            table,
            chunks: self.left.iter_mut(),
            records: None,
            found: ProbeResult::default(),
            next: 0,
            taken: 0,
            open: None,
            unmatched,
            form: PhantomData::<F>,
        }
    }

    fn weight(&self) -> usize {
        self.work * size_of::<(K, V, W)>().max(1)
    }
}

/// An iterator over the matches of a block, in the order of the probe side.
struct Matches<'a, K, V, W, F> {
    table: Arc<JoinTable<K, W>>,
    chunks: slice::IterMut<'a, Vec<(K, V)>>,
    /// The remaining records of the current chunk.
    records: Option<vec::Drain<'a, (K, V)>>,
    /// The matches of the current group, and the index of the next one.
    found: ProbeResult,
    next: usize,
    /// The record of the group whose matches are being enumerated, and the number of records taken so far.
    open: Option<(K, V)>,
    taken: usize,
    /// The position before which the remaining unmatched records of the build side are.
    unmatched: usize,
    form: PhantomData<F>,
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Matches<'_, K, V, W, F> {
    /// Whether records can be copied instead of moved, since nothing needs to be dropped.
    const PLAIN: bool = !needs_drop::<(K, V)>();

    /// Finds the matches of the next group; `None` behind the last one.
    #[inline(never)]
    fn group(&mut self) -> Option<()> {
        loop {
            if let Some(records) = &mut self.records {
                // The records of the previous group that were not taken.
                records.by_ref().take(self.found.probed() - self.taken).for_each(drop);
                self.taken = 0;
                self.next = 0;
                self.found.clear();
                if !records.as_slice().is_empty() {
                    self.table.find(records.as_slice(), F::LEFT, &mut self.found);
                    return Some(());
                }
            }
            self.records = Some(self.chunks.next()?.drain(..));
        }
    }

    /// The probe record with number `of` of the group, owned: a clone for all but the last of its matches.
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
            if let Some((of, position)) = self.found.get(self.next) {
                self.next += 1;
                let (key, left) = self.record(of as usize)?;
                if F::LEFT && position == NO_MATCH {
                    return Some((key, F::left(left)?));
                }
                if F::RIGHT {
                    self.table.mark_matched(position);
                }
                let right = self.table.value(position).clone();
                return Some((key, F::both(left, right)));
            }
            if self.group().is_none() {
                break;
            }
        }
        let (position, (key, value)) = self.table.next_unmatched(self.unmatched)?;
        self.unmatched = position;
        Some((key.clone(), F::right(value.clone())?))
    }
}
