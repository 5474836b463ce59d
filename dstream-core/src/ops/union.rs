//! `union`.

use crate::{DStream, sealed::Sealed};

impl<T> DStream<T> {
    /// The records of this stream, then those of each of `others`: `a.union(b)`, `a.union(b, c)`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let low = queue_stream(vec![vec![1, 2]]);
    ///     let high = queue_stream(vec![vec![10], vec![20]]);
    ///     low.union(high).collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![1, 2, 10], vec![20]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn union(self, others: impl Streams<T>) -> DStream<T> {
        drop(others);
        self
    }
}

/// What `union` takes: one stream or several, `a.union(b, c)`.
pub trait Streams<T>: Sealed {}

impl<T> Sealed for DStream<T> {}

impl<T> Streams<T> for DStream<T> {}

// A pair is sealed as one.
impl<T, A: Streams<T>, B: Streams<T>> Streams<T> for (A, B) {}

macro_rules! streams {
    ($($($n:ident)*;)*) => {$(
        impl<$($n),*> Sealed for ($($n,)*) {}

        impl<T $(, $n: Streams<T>)*> Streams<T> for ($($n,)*) {}
    )*};
}

streams! {
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
}
