//! The result of a state operator: a view of its tables, which stages borrow from.

use std::sync::Arc;

use super::Bucket;
use crate::{Key, Rdd, Record, batch::Step, block::Block, exec::run, rdd::Counted, record::Data, table::FEW};

/// A view of all keys with their states after a batch.
///
/// It shares the tables of the operator. They are copied on write if a view still exists when the next batch
/// changes them.
#[derive(Debug)]
pub struct StateView<K, S> {
    buckets: Vec<Arc<Bucket<K, S>>>,
}

impl<K, S> Clone for StateView<K, S> {
    fn clone(&self) -> Self {
        StateView { buckets: self.buckets.clone() }
    }
}

impl<K, S> StateView<K, S> {
    pub(super) fn new(buckets: Vec<Arc<Bucket<K, S>>>) -> Self {
        StateView { buckets }
    }
}

impl<K, S> Counted for StateView<K, S> {
    fn size(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.keys.live() as u64).sum()
    }
}

impl<K: Key<Owned = K> + Data, S: Data> StateView<K, S> {
    /// The buckets as the input of a stage, whose records are `(&K, &S)`.
    pub fn blocks(view: &Step<Self>) -> Step<Vec<StateBlock<K, S>>> {
        let view = view.as_ref().map_err(Clone::clone)?;
        let full = view.buckets.iter().filter(|bucket| bucket.keys.live() > 0);
        Ok(full.map(|bucket| StateBlock(Arc::clone(bucket))).collect())
    }

    /// Materialises all records, for consumers that need owned ones: one partition a bucket.
    pub fn rdd(view: &Step<Self>) -> Step<Rdd<(K, S)>> {
        let view = view.as_ref().map_err(Clone::clone)?;
        let small = view.size() < FEW as u64;
        let copies = run(view.buckets.iter().collect(), small, |bucket| {
            let mut copy = Vec::with_capacity(bucket.keys.live());
            copy.extend(pairs(bucket).map(Record::own));
            copy
        });
        Ok(Rdd::from_partitions(copies))
    }
}

fn pairs<K, S>(bucket: &Bucket<K, S>) -> impl Iterator<Item = (&K, &S)> {
    bucket.keys.iter().filter_map(|(key, held)| held.state.as_ref().map(|state| (key, state)))
}

/// One bucket of a [`StateView`], as the block of a stage.
#[derive(Debug)]
pub struct StateBlock<K, S>(Arc<Bucket<K, S>>);

impl<K: Data, S: Data> Block for StateBlock<K, S> {
    type Record<'a> = (&'a K, &'a S);

    fn records(&mut self) -> impl Iterator<Item = (&K, &S)> {
        pairs(&self.0)
    }

    fn record_count(&self) -> Option<u64> {
        Some(self.0.keys.live() as u64)
    }

    fn weight(&self) -> usize {
        self.0.keys.live() * size_of::<(K, S)>().max(1)
    }
}
