//! What several segments come to.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap, binary_heap::PeekMut},
};

use super::{CheckpointError, CheckpointStore, manifest::Segment, segment::SegmentReader};

/// Calls `each` once for every key of every operator, in order, with what the newest segment says of it: its
/// value, or `None` if it was deleted. Needs memory for some entries of each segment, not for the state.
pub(super) fn merge(
    store: &dyn CheckpointStore,
    segments: &[Segment],
    mut each: impl FnMut(&str, &[u8], Option<&[u8]>) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    // Of which segment on an operator's entries count.
    let since: BTreeMap<&str, usize> = segments
        .iter()
        .enumerate()
        .flat_map(|(age, s)| s.fresh.iter().map(move |name| (&**name, age)))
        .collect();
    let mut heap = BinaryHeap::with_capacity(segments.len());
    for (age, segment) in segments.iter().enumerate() {
        let mut reader = SegmentReader::open(store, segment)?;
        if reader.advance()? {
            heap.push(Cursor { reader, age });
        }
    }
    let mut last: Option<(String, Vec<u8>)> = None;
    while let Some(mut top) = heap.peek_mut() {
        let Cursor { reader, age } = &*top;
        let (operator, key) = (reader.operator(), reader.key());
        let superseded = last.as_ref().is_some_and(|(o, k)| k == key && o == operator);
        if !superseded && since.get(operator).is_none_or(|since| age >= since) {
            each(operator, key, reader.value())?;
            match &mut last {
                Some((o, k)) => {
                    if o != operator {
                        operator.clone_into(o);
                    }
                    k.clear();
                    k.extend_from_slice(key);
                }
                None => last = Some((operator.to_owned(), key.to_owned())),
            }
        }
        if !top.reader.advance()? {
            PeekMut::pop(top);
        }
    }
    Ok(())
}

/// A segment, at one of its entries. The greatest is the one to look at next.
struct Cursor {
    reader: SegmentReader,
    /// The newer, the greater.
    age: usize,
}

impl Cursor {
    fn place(&self) -> (&str, &[u8]) {
        (self.reader.operator(), self.reader.key())
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Cursor) -> Ordering {
        other.place().cmp(&self.place()).then(self.age.cmp(&other.age))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Cursor) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Cursor) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}
