//! How the records leave a partition: moved out if nobody else holds it, cloned if somebody does.

use std::{fmt, sync::Arc, vec};

use super::{IntoRdd, PartOf, Rdd, RddActions, RddOps, into_rdd::Fault};
use crate::{block::Block, sealed::Sealed};

impl<T> Sealed for Rdd<T> {}

impl<T: Clone + Send + Sync> IntoRdd for Rdd<T> {
    type Record = T;

    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault> {
        Ok(self.evaluate())
    }
}

impl<T: Clone + Send + Sync> RddOps for Rdd<T> {
    type Item = T;
    type Part = RddBlock<T>;

    fn into_parts(self) -> Vec<RddBlock<T>> {
        self.partitions.into_iter().map(RddBlock).collect()
    }

    fn size_hint(&self) -> usize {
        self.iter_lens().sum()
    }

    fn part(&self) -> Option<&PartOf> {
        self.part.as_ref()
    }

    fn evaluate(self) -> Rdd<T> {
        self
    }
}

impl<T> Sealed for &Rdd<T> {}

impl<'a, T: Sync> IntoRdd for &'a Rdd<T> {
    type Record = &'a T;

    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault> {
        Ok(self.evaluate())
    }
}

impl<'a, T: Sync> RddOps for &'a Rdd<T> {
    type Item = &'a T;
    type Part = &'a [T];

    fn into_parts(self) -> Vec<&'a [T]> {
        self.partitions.iter().map(|p| p.as_slice()).collect()
    }

    fn size_hint(&self) -> usize {
        self.iter_lens().sum()
    }

    fn part(&self) -> Option<&PartOf> {
        self.part.as_ref()
    }
}

impl<T: Sync> RddActions for &Rdd<T> {}

impl<T> Rdd<T> {
    fn iter_lens(&self) -> impl Iterator<Item = usize> {
        self.partitions.iter().map(|p| p.len())
    }
}

/// A partition on its way into a stage: moved out if nobody else holds it, cloned if somebody does.
#[derive(Debug)]
pub struct RddBlock<T>(pub(super) Arc<Vec<T>>);

impl<T> RddBlock<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T: Clone + Send + Sync> Block for RddBlock<T> {
    type Record<'a>
        = T
    where
        T: 'a;

    fn records(&mut self) -> impl Iterator<Item = T> {
        RddBlock(std::mem::take(&mut self.0)).into_iter()
    }

    fn record_count(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn weight(&self) -> usize {
        self.0.len() * size_of::<T>().max(1)
    }
}

impl<T: Clone> IntoIterator for RddBlock<T> {
    type Item = T;
    type IntoIter = Records<T>;

    fn into_iter(self) -> Records<T> {
        match Arc::try_unwrap(self.0) {
            Ok(records) => Records::Moved(records.into_iter()),
            Err(shared) => Records::Cloned { shared, next: 0 },
        }
    }
}

/// The owned records of one partition of an [`Rdd`].
pub enum Records<T> {
    /// Nobody else held them.
    Moved(vec::IntoIter<T>),
    /// Somebody does: one is cloned when it is asked for.
    Cloned {
        /// All of them.
        shared: Arc<Vec<T>>,
        /// Which is the next.
        next: usize,
    },
}

impl<T> fmt::Debug for Records<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl<T: Clone> Iterator for Records<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Records::Moved(records) => records.next(),
            Records::Cloned { shared, next } => {
                let record = shared.get(*next)?.clone();
                *next += 1;
                Some(record)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Records::Moved(records) => records.len(),
            Records::Cloned { shared, next } => shared.len() - next,
        };
        (left, Some(left))
    }

    // Decides between the two once, not for every record.
    fn fold<B, F: FnMut(B, T) -> B>(self, init: B, f: F) -> B {
        match self {
            Records::Moved(records) => records.fold(init, f),
            Records::Cloned { shared, next } => shared[next..].iter().cloned().fold(init, f),
        }
    }
}
