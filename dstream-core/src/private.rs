//! What expansions of `stream!` name. Not part of the public interface: it changes with the macro.

pub use crate::{
    batch::{Batch, OpMeta, Step},
    context::Builder,
    ops::{Collect, Count, First, Print, Reduce, ReduceByKey, collect_to, foreach_rdd, foreach_rdd_time},
    source::{Block, Input},
};

use crate::{DStream, IntoSource, Pair, Rdd, Result, Source, StreamingContext, rdd::RddBlock};

/// Calls a closure with a record that fixes its argument's type.
#[inline(always)]
pub fn call<A, R>(record: A, f: impl FnOnce(A) -> R) -> R {
    f(record)
}

/// Takes a pair apart.
#[inline(always)]
pub fn pair<K, V, P: Pair<Key = K, Value = V>>(record: P) -> (K, V) {
    record.into_pair()
}

/// Separates the first sink of each task from the others.
pub fn split<A, R>(tasks: Step<Vec<(A, R)>>) -> (Step<Vec<A>>, Step<Vec<R>>) {
    match tasks {
        Ok(tasks) => {
            let (first, rest) = tasks.into_iter().unzip();
            (Ok(first), Ok(rest))
        }
        Err(failure) => (Err(failure.clone()), Err(failure)),
    }
}

/// The tasks of two stages that end in the same sink, in order.
pub fn append<A>(first: Step<Vec<A>>, second: Step<Vec<A>>) -> Step<Vec<A>> {
    let mut tasks = first?;
    tasks.extend(second?);
    Ok(tasks)
}

/// The partitions of a finished step as the input of the next stage.
pub fn blocks<T>(rdd: Step<Rdd<T>>) -> Step<Vec<RddBlock<T>>> {
    rdd.map(Rdd::into_blocks)
}

/// The value of a `stream!` that did not compile: it keeps the type, so that there is no second error.
pub fn not_compiled<T>() -> Result<T> {
    unreachable!("a program whose pipeline has an error does not compile")
}

/// For editors: the stream of a source.
pub fn stream_of<M, S: IntoSource<M>>(
    source: S,
) -> DStream<<<S::Source as Source>::Block as Block>::Record<'static>> {
    drop(source);
    DStream::typed()
}

/// For editors: a stream whose operator has the batch's time as a second argument.
#[derive(Debug)]
pub struct Timed<T>(DStream<T>);

/// For editors: see [`Timed`].
pub fn timed<T>(stream: DStream<T>) -> Timed<T> {
    Timed(stream)
}

impl<T: crate::Record> Timed<T> {
    /// `foreach_rdd` with the batch's time.
    pub fn foreach_rdd<O: crate::ops::Outcome>(self, f: impl FnMut(Rdd<T::Owned>, crate::Time) -> O) {
        drop((self.0, f));
    }
}

/// For editors: the value of the whole macro.
pub fn built() -> Result<StreamingContext> {
    not_compiled()
}

/// A handle on the user's `Collected`.
pub fn collected<T>(out: &crate::testing::Collected<T>) -> crate::testing::Collected<T> {
    out.clone()
}
