//! The lazy transformations. There are three shapes of them, and a chain of any is one loop over each
//! partition.

use std::{fmt, sync::Arc, vec};

use either::Either;

use super::{IntoRdd, PartOf, Rdd, RddActions, RddOps, into_rdd::Fault, run::RecordsOf, share};
use crate::sealed::Sealed;

/// Passes the records of each partition through an iterator adaptor: `map`, `filter` and most others.
pub(super) struct PerPart<B, F> {
    base: B,
    adapt: F,
}

impl<B: RddOps, I: Iterator, F: Fn(usize, RecordsOf<B>) -> I> PerPart<B, F> {
    /// `adapt` is called once a partition, with its number and its records.
    pub(super) fn new(base: B, adapt: F) -> Self {
        PerPart { base, adapt }
    }
}

impl<B, F> fmt::Debug for PerPart<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPart").finish_non_exhaustive()
    }
}

impl<B, F> Sealed for PerPart<B, F> {}

impl<B, I, F> IntoRdd for PerPart<B, F>
where
    B: RddOps,
    I: Iterator<Item: Send>,
    F: Fn(usize, RecordsOf<B>) -> I + Send + Sync,
{
    type Record = I::Item;

    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault> {
        Ok(self.evaluate())
    }
}

impl<B, I, F> RddOps for PerPart<B, F>
where
    B: RddOps,
    I: Iterator<Item: Send>,
    F: Fn(usize, RecordsOf<B>) -> I + Send + Sync,
{
    type Item = I::Item;
    type Part = Adapted<B::Part, F>;

    fn into_parts(self) -> Vec<Self::Part> {
        let adapt = Arc::new(self.adapt);
        let parts = self.base.into_parts().into_iter().enumerate();
        parts.map(|(index, base)| Adapted { index, base, adapt: Arc::clone(&adapt) }).collect()
    }

    fn size_hint(&self) -> usize {
        self.base.size_hint()
    }

    fn part(&self) -> Option<&PartOf> {
        self.base.part()
    }
}

impl<B, I, F> RddActions for PerPart<B, F>
where
    B: RddOps,
    I: Iterator<Item: Send>,
    F: Fn(usize, RecordsOf<B>) -> I + Send + Sync,
{
}

/// A partition of [`PerPart`].
pub(super) struct Adapted<P, F> {
    index: usize,
    base: P,
    adapt: Arc<F>,
}

impl<P: IntoIterator, I: Iterator, F: Fn(usize, P::IntoIter) -> I> IntoIterator for Adapted<P, F> {
    type Item = I::Item;
    type IntoIter = I;

    fn into_iter(self) -> I {
        (self.adapt)(self.index, self.base.into_iter())
    }
}

/// The partitions of one, then those of another.
#[derive(Debug)]
pub(super) struct Union<A, B>(pub(super) A, pub(super) B);

impl<A, B> Sealed for Union<A, B> {}

impl<A: RddOps, B: RddOps<Item = A::Item>> IntoRdd for Union<A, B> {
    type Record = A::Item;

    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault> {
        Ok(self.evaluate())
    }
}

impl<A: RddOps, B: RddOps<Item = A::Item>> RddOps for Union<A, B> {
    type Item = A::Item;
    type Part = OneOf<A::Part, B::Part>;

    fn into_parts(self) -> Vec<Self::Part> {
        let first = self.0.into_parts().into_iter().map(|part| OneOf(Either::Left(part)));
        first.chain(self.1.into_parts().into_iter().map(|part| OneOf(Either::Right(part)))).collect()
    }

    fn size_hint(&self) -> usize {
        self.0.size_hint().saturating_add(self.1.size_hint())
    }

    fn part(&self) -> Option<&PartOf> {
        self.0.part().or_else(|| self.1.part())
    }
}

impl<A: RddOps, B: RddOps<Item = A::Item>> RddActions for Union<A, B> {}

/// A partition of [`Union`].
pub(super) struct OneOf<A, B>(Either<A, B>);

impl<A: IntoIterator, B: IntoIterator<Item = A::Item>> IntoIterator for OneOf<A, B> {
    type Item = A::Item;
    type IntoIter = Either<A::IntoIter, B::IntoIter>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_either(A::into_iter, B::into_iter)
    }
}

/// Neighbouring partitions run as one.
#[derive(Debug)]
pub(super) struct Coalesce<B> {
    pub(super) base: B,
    pub(super) n: usize,
}

impl<B> Sealed for Coalesce<B> {}

impl<B: RddOps> IntoRdd for Coalesce<B> {
    type Record = B::Item;

    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault> {
        Ok(self.evaluate())
    }
}

impl<B: RddOps> RddOps for Coalesce<B> {
    type Item = B::Item;
    type Part = Neighbours<B::Part>;

    fn into_parts(self) -> Vec<Self::Part> {
        let parts = self.base.into_parts();
        let len = parts.len();
        let n = self.n.clamp(1, len.max(1));
        let mut parts = parts.into_iter();
        (0..n)
            .map(|i| Neighbours(parts.by_ref().take(share(len, n, i + 1) - share(len, n, i)).collect()))
            .collect()
    }

    fn size_hint(&self) -> usize {
        self.base.size_hint()
    }

    fn part(&self) -> Option<&PartOf> {
        self.base.part()
    }
}

impl<B: RddOps> RddActions for Coalesce<B> {}

/// A partition of [`Coalesce`].
pub(super) struct Neighbours<P>(Vec<P>);

impl<P: IntoIterator> IntoIterator for Neighbours<P> {
    type Item = P::Item;
    type IntoIter = std::iter::Flatten<vec::IntoIter<P>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}
