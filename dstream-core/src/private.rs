//! What expansions of `stream!` name. Not part of the public interface: it changes with the macro.

#[allow(deprecated)] // Its use is the warning.
pub use crate::ops::cache::not_needed;
pub use crate::{
    batch::{Batch, Missing, Step},
    block::Block,
    checkpoint::store::Storage,
    context::{Builder, Hoisted},
    model::trainer::Trainer,
    ops::{
        collect_to::{Collect, collect_to},
        count::Count,
        dashboard::{ChartSink, Dashboard, ToChart},
        flat_map::{SplitAny, SplitText, Splits},
        foreach_partition::foreach_partition,
        foreach_rdd::foreach_rdd,
        foreach_rdd_async::{foreach_rdd_async, foreach_rdd_async_timed},
        print::{First, Print},
        reduce::Reduce,
        sample::Sample,
        split::pieces,
        top::Top,
        top_by_key::Largest,
        words::words,
        write_to::{ToSink, WriteTo},
    },
    output::Output,
    plan::{
        Keeps, OperatorKind,
        meta::{OpMeta, OperatorMeta, PipelineMeta, StageMeta},
    },
    rdd::{
        Counted,
        join::{FullOuter, Inner, Join, JoinBlock, JoinForm, Joined, LeftOuter, RightOuter},
        records::RddBlock,
    },
    receiver::block::Received,
    sink::{
        HadoopFiles, ObjectFiles, TextFiles,
        gathered::{Gather, GatherNothing, Gathered, Gathering},
        policy::OutputPolicy,
    },
    source::{
        any::{Borrowed, FromText, TextInput},
        handle::{ChainInput, Publisher},
        input::Input,
        kind::FromHandle,
    },
    state::{
        map_with_state::MapWithState,
        update::UpdateStateByKey,
        view::{StateBlock, StateView},
    },
    table::{
        Chunks, Combine, CombineByKey, GroupPartial, GroupSink, Grouped, Groups, PartialBucket, Partials,
        Scatter,
    },
    window::{
        CountByWindow, GroupByKeyAndWindow, InverseByKeyAndWindow, InverseByWindow, RecordWindow,
        ReduceByKeyAndWindow, ReduceByWindow, WindowSpec,
    },
};
pub use serde;

use std::time::Duration;

use crate::{
    DStream, Data, Key, Rdd, Record, Result, StreamHandle, StreamingContext, Time,
    model::ModelHandle,
    ops::{Outcome, StreamOutput},
    rdd::IntoRdd,
    record::{Pair, Portable},
    sink::Partition,
    source::IntoSource,
    state::State,
};

/// Calls a closure with a record that fixes its argument's type.
#[inline(always)]
pub fn call<A, R>(record: A, f: impl FnOnce(A) -> R) -> R {
    f(record)
}

/// As [`call`], for a closure of two arguments.
#[inline(always)]
pub fn call2<A, B, R>(a: A, b: B, f: impl FnOnce(A, B) -> R) -> R {
    f(a, b)
}

/// As [`call`], for a closure of three arguments.
#[inline(always)]
pub fn call3<A, B, C, R>(a: A, b: B, c: C, f: impl FnOnce(A, B, C) -> R) -> R {
    f(a, b, c)
}

/// What a closure of `filter_map` must return.
#[inline(always)]
pub fn option<T>(value: Option<T>) -> Option<T> {
    value
}

/// What a closure of `inspect` must return.
#[inline(always)]
pub fn nothing((): ()) {}

/// Compares owned keys. Here, not in the expansion of the derive: there, a type without `Eq` would be
/// reported twice.
#[inline(always)]
pub fn same_key<K: Key<Owned = K>>(key: &K, owned: &K) -> bool {
    key == owned
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
        Err(missing) => (Err(missing.clone()), Err(missing)),
    }
}

/// What a closure of the loop may capture. Implemented by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be captured by a closure of a pipeline, which runs in tasks on several threads at once",
    label = "captured here",
    note = "in place of an `Rc`, write an `Arc`; in place of a `RefCell` or a `Cell`, a `Mutex` or an atomic number",
    note = "a type parameter: bound it by `{Self}: Send + Sync + 'static`"
)]
pub trait InTasks {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + ?Sized> InTasks for T {}

/// What a closure may capture that sees whole batches. Implemented by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be captured by a closure of a pipeline, which runs on another thread",
    label = "captured here",
    note = "in place of an `Rc`, write an `Arc`, and in place of a `RefCell` in it, a `Mutex`",
    note = "a type parameter: bound it by `{Self}: Send + 'static`"
)]
pub trait InBatches {}

#[diagnostic::do_not_recommend]
impl<T: Send + ?Sized> InBatches for T {}

/// Checks a captured variable.
#[inline(always)]
pub fn in_tasks<T: InTasks + ?Sized + 'static>(_captured: &T) {}

/// Checks a captured variable.
#[inline(always)]
pub fn in_batches<T: InBatches + ?Sized + 'static>(_captured: &T) {}

/// Checks that what a closure captures lives as long as the pipeline.
#[inline(always)]
pub fn kept<F: 'static>(_captures: F) {}

/// A record that several operators read: all but the last get a clone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is read by several operators, but it can't be cloned for them",
    label = "more operators than this one read the stream: each has a record of its own",
    note = "a type of your own: write `#[derive(Clone)]` above it",
    note = "a foreign type: map the records to an `Arc` of it first, which all of them share"
)]
pub trait Several {
    /// One more of it.
    fn another(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Several for T {
    #[inline(always)]
    fn another(&self) -> T {
        self.clone()
    }
}

/// The key of the right side of a join, which must be of the type `K` of the left side. Implemented by itself
/// alone.
#[diagnostic::on_unimplemented(
    message = "the streams have keys of different types: `{K}` and `{Self}`",
    label = "brings equal keys of both streams together",
    note = "map the keys of one stream to the type of the other's, for example `.map(|(key, value)| (dstream::Str::from(key), value))`",
    note = "a `&str` that leaves its stage is a `Str`, which a `String` is not"
)]
pub trait SameKey<K>: Sized {
    /// The same join.
    fn join<V, W>(join: &Join<(K, V), (Self, W)>) -> &Join<(K, V), (K, W)>;

    /// The same tasks.
    fn tasks<W>(tasks: Vec<Vec<Chunks<Self, W>>>) -> Vec<Vec<Chunks<K, W>>>;
}

impl<K> SameKey<K> for K {
    fn join<V, W>(join: &Join<(K, V), (K, W)>) -> &Join<(K, V), (K, W)> {
        join
    }

    fn tasks<W>(tasks: Vec<Vec<Chunks<K, W>>>) -> Vec<Vec<Chunks<K, W>>> {
        tasks
    }
}

/// Tasks whose records are of the same type. Implemented by itself alone.
#[diagnostic::on_unimplemented(
    message = "the streams of a union have records of different types",
    label = "puts `{A}` and `{Self}` together",
    note = "map them to one type first"
)]
pub trait SameAs<A> {
    /// The same value.
    fn same(self) -> A;
}

impl<A> SameAs<A> for A {
    fn same(self) -> A {
        self
    }
}

/// The tasks of two stages that end in the same sink, in order.
pub fn append<A, B: SameAs<A>>(first: Step<Vec<A>>, second: Step<Vec<B>>) -> Step<Vec<A>> {
    let mut tasks = first?;
    tasks.extend(second?.into_iter().map(B::same));
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
pub fn stream_of<M, S: IntoSource<M, Input: ChainInput>>(
    source: S,
) -> DStream<<<S::Input as ChainInput>::Block as Block>::Record<'static>> {
    drop(source);
    DStream::typed()
}

/// For editors: the value of a pipeline that hands a stream out.
pub fn handed_out<T: Record>(stream: DStream<T>) -> Result<StreamHandle<T::Owned>> {
    let _ = stream;
    not_compiled()
}

/// As [`handed_out`], with the context that the pipeline makes.
pub fn handed_out_with<T: Record>(stream: DStream<T>) -> Result<(StreamingContext, StreamHandle<T::Owned>)> {
    let _ = stream;
    not_compiled()
}

/// For editors: a stream whose operator has the batch's time as a second argument.
#[derive(Debug)]
pub struct Timed<T>(DStream<T>);

/// For editors: see [`Timed`].
pub fn timed<T>(stream: DStream<T>) -> Timed<T> {
    Timed(stream)
}

impl<T: Record> Timed<T> {
    /// `foreach_rdd` with the batch's time.
    pub fn foreach_rdd<O: Outcome>(self, f: impl FnMut(Rdd<T::Owned>, Time) -> O) -> StreamOutput {
        drop((self.0, f));
        StreamOutput::typed()
    }

    /// `foreach_rdd_async` with the batch's time.
    pub fn foreach_rdd_async<O: Outcome>(self, f: impl AsyncFnMut(Rdd<T::Owned>, Time) -> O) -> StreamOutput {
        drop((self.0, f));
        StreamOutput::typed()
    }

    /// `foreach_partition` with the batch's time.
    pub fn foreach_partition<O: Outcome>(
        self,
        f: impl Fn(Partition<'_, T::Owned>, Time) -> O,
    ) -> StreamOutput {
        drop((self.0, f));
        StreamOutput::typed()
    }

    /// `transform` with the batch's time.
    pub fn transform<R: IntoRdd>(self, f: impl FnMut(Rdd<T::Owned>, Time) -> R) -> DStream<R::Record> {
        drop((self.0, f));
        DStream::typed()
    }

    /// `transform_with` with the batch's time.
    pub fn transform_with<U: Record, R: IntoRdd>(
        self,
        other: DStream<U>,
        f: impl FnMut(Rdd<T::Owned>, Rdd<U::Owned>, Time) -> R,
    ) -> DStream<R::Record> {
        drop((self.0, other, f));
        DStream::typed()
    }
}

/// A handle on the user's model.
pub fn model<M>(model: &ModelHandle<M>) -> ModelHandle<M> {
    model.clone()
}

/// A handle on the user's `Collected`.
pub fn collected<T>(out: &crate::testing::Collected<T>) -> crate::testing::Collected<T> {
    out.clone()
}

impl<K: Key, V: Record> Timed<(K, V)> {
    /// `update_state_by_key` with the batch's time and the key.
    pub fn update_state_by_key<S: Portable>(
        self,
        f: impl Fn(Time, &K::Owned, &[V::Owned], Option<S>) -> Option<S>,
    ) -> DStream<(&'static K::Owned, &'static S)> {
        drop((self.0, f));
        DStream::typed()
    }

    /// `map_with_state` with the batch's time.
    pub fn map_with_state<S: Portable, I: IntoIterator<Item: Data>>(
        self,
        f: impl Fn(Time, &K::Owned, Option<V::Owned>, &mut State<S>) -> I,
    ) -> (DStream<I::Item>, DStream<(&'static K::Owned, &'static S)>) {
        drop((self.0, f));
        (DStream::typed(), DStream::typed())
    }
}

/// For editors: a stream whose operator has the key as its first argument.
#[derive(Debug)]
pub struct Keyed<T>(DStream<T>);

/// For editors: see [`Keyed`].
pub fn keyed<T>(stream: DStream<T>) -> Keyed<T> {
    Keyed(stream)
}

impl<K: Key, V: Record> Keyed<(K, V)> {
    /// `update_state_by_key` with the key.
    pub fn update_state_by_key<S: Portable>(
        self,
        f: impl Fn(&K::Owned, &[V::Owned], Option<S>) -> Option<S>,
    ) -> DStream<(&'static K::Owned, &'static S)> {
        drop((self.0, f));
        DStream::typed()
    }
}

/// For editors: a stream whose operator compares its records by a key.
#[derive(Debug)]
pub struct ByKey<T>(DStream<T>);

/// For editors: see [`ByKey`].
pub fn by_key<T>(stream: DStream<T>) -> ByKey<T> {
    ByKey(stream)
}

impl<T: Record> ByKey<T> {
    /// `top` by a key.
    pub fn top<K: Ord>(self, n: usize, key: impl Fn(&T) -> K) -> DStream<T::Owned> {
        drop((self.0, n, key));
        DStream::typed()
    }
}

/// For editors: a stream whose window has an inverse.
#[derive(Debug)]
pub struct WithInverse<T>(DStream<T>);

/// For editors: see [`WithInverse`].
pub fn with_inverse<T>(stream: DStream<T>) -> WithInverse<T> {
    WithInverse(stream)
}

impl<T: Record> WithInverse<T> {
    /// `reduce_by_window` with an inverse.
    pub fn reduce_by_window(
        self,
        f: impl Fn(T::Owned, T::Owned) -> T::Owned,
        inverse: impl Fn(T::Owned, T::Owned) -> T::Owned,
        length: Duration,
        slide: Duration,
    ) -> DStream<T::Owned> {
        drop((self.0, f, inverse, length, slide));
        DStream::typed()
    }
}

impl<K: Key, V: Record> WithInverse<(K, V)> {
    /// `reduce_by_key_and_window` with an inverse.
    pub fn reduce_by_key_and_window(
        self,
        f: impl Fn(V::Owned, V::Owned) -> V::Owned,
        inverse: impl Fn(V::Owned, V::Owned) -> V::Owned,
        length: Duration,
        slide: Duration,
    ) -> DStream<(K::Owned, V::Owned)> {
        drop((self.0, f, inverse, length, slide));
        DStream::typed()
    }
}
