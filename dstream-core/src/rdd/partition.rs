//! One partition of a batch, as outputs are handed it.

/// One partition of a batch, as `foreach_partition` and sinks are handed it.
#[derive(Debug)]
pub struct Partition<'a, T> {
    index: usize,
    records: &'a [T],
}

impl<T> Clone for Partition<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Partition<'_, T> {}

impl<'a, T> Partition<'a, T> {
    pub(crate) fn new(index: usize, records: &'a [T]) -> Partition<'a, T> {
        Partition { index, records }
    }

    /// Which partition of the batch it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its records, in order.
    pub fn iter(&self) -> std::slice::Iter<'a, T> {
        self.records.iter()
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl<'a, T> IntoIterator for Partition<'a, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
