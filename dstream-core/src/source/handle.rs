//! Handles on streams that a pipeline publishes, and the inputs of chains.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Error, JobError, Rdd, Result, Time,
    batch::{Batch, Missing, Step},
    block::Block,
    plan::OpMeta,
    rdd::RddBlock,
    record::Data,
    source::{AnyInput, Input, IntoSource, Source, kind::FromHandle},
    sync::Unpoisoned,
    time::millis,
};

/// Tells the contexts of a process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextId(u64);

impl ContextId {
    /// An identity that no other context has.
    pub(crate) fn unique() -> ContextId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ContextId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handle on a stream that a pipeline publishes: the value of its last expression, if no `;` follows it.
///
/// `stream!(batch = 1s, { ..; words })` is then a `Result<(StreamingContext, StreamHandle<T>)>`, and
/// `stream!(ssc, { ..; words })` a `Result<StreamHandle<T>>`, where `T` is the owned form of the records.
/// Clones are the same stream. It can
///
/// * start a chain in another pipeline of the same context, by itself or as `(&words)`. The records are
///   computed once, for both pipelines; those of a batch are there before the other pipeline runs in it. They
///   are its own: clones, while the handle remembers them;
/// * be asked for its latest batches, with [`slice`](StreamHandle::slice).
///
/// A handle keeps the last batch of the stream, or as many as [`remember`](StreamHandle::remember) says. A
/// stream whose handles are all gone is not collected.
///
/// ```
/// use dstream::prelude::*;
///
/// let (ssc, words) = dstream::stream!(batch = 1s, {
///     let lines = queue_stream(vec![vec!["to be"], vec!["or not"]]);
///     let words = lines.flat_map(|line| line.split(' '));
///     words.print();
///     words
/// })?;
/// let lengths = Collected::new();
/// dstream::stream!(ssc, {
///     (&words).map(|word| word.len()).collect_to(&lengths);
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(lengths.values(), [[2, 2], [2, 3]]);
///
/// let now = lengths.batches()[1].0;
/// let (time, rdd) = words.slice(now, now)?.remove(0);
/// assert_eq!((time, rdd.collect()), (now, vec!["or".into(), "not".into()]));
/// # Ok::<(), dstream::Error>(())
/// ```
#[must_use = "nothing else gives the stream that was published"]
pub struct StreamHandle<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    context: ContextId,
    op: OpMeta,
    slide: Duration,
    history: Mutex<History<T>>,
}

/// The latest batches of a published stream.
struct History<T> {
    /// The zero time, known from the first batch on.
    zero: Option<Time>,
    /// The last batch that has run, whether the stream was due in it or not.
    last: Option<Time>,
    remember: Duration,
    /// The batches in which the stream was due, oldest first.
    batches: VecDeque<(Time, Result<Rdd<T>, Box<JobError>>)>,
}

impl<T> Clone for StreamHandle<T> {
    fn clone(&self) -> Self {
        StreamHandle { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for StreamHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("stream", &self.shared.op.name).finish_non_exhaustive()
    }
}

impl<T> StreamHandle<T> {
    pub(crate) fn new(context: ContextId, op: OpMeta, slide: Duration) -> Self {
        let history = History { zero: None, last: None, remember: Duration::ZERO, batches: VecDeque::new() };
        StreamHandle { shared: Arc::new(Shared { context, op, slide, history: Mutex::new(history) }) }
    }

    /// The end of the handle to which the pipeline publishes batches.
    pub fn publisher(&self) -> Publisher<T> {
        Publisher(Arc::downgrade(&self.shared))
    }

    /// From now on keeps the batches of the last `duration`, and always the newest.
    pub fn remember(&self, duration: Duration) {
        self.shared.lock().remember = duration;
    }

    /// The batches of the stream from `from` to `to`, both included, each with its time.
    ///
    /// Both times are rounded down to a multiple of the stream's slide, counted from the zero time, one
    /// interval before the first batch there ever was. Times up to the zero time have no batch, and are left
    /// out. Errors: `from` is after `to`; no batch has run yet; a batch is not remembered, or has not run; a
    /// batch failed.
    pub fn slice(&self, from: Time, to: Time) -> Result<Vec<(Time, Rdd<T>)>> {
        let Shared { op, slide, .. } = &*self.shared;
        let place = format!("`slice` of `{}` at {}:{}", op.name, op.file, op.line);
        if from > to {
            return Err(Error::Invalid(format!(
                "{place}: it begins at {from}, after its end at {to}: give the earlier time first"
            )));
        }
        let history = self.shared.lock();
        let Some(zero) = history.zero else {
            return Err(Error::State(format!("{place}: no batch has run yet: start the context first")));
        };
        let slides = millis(from.since(zero)) / millis(*slide).max(1);
        let mut at = zero + Duration::from_millis(slides.max(1).saturating_mul(millis(*slide)));
        let mut batches = Vec::new();
        while at <= to {
            match history.at(at) {
                Some(Ok(rdd)) => batches.push((at, rdd.clone())),
                Some(Err(failure)) => return Err(failure.clone().into()),
                None => return Err(Error::State(format!("{place}: {}", history.why_missing(at)))),
            }
            at = at + *slide;
        }
        Ok(batches)
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, History<T>> {
        self.history.lock().unpoisoned()
    }
}

impl<T> History<T> {
    fn at(&self, time: Time) -> Option<&Result<Rdd<T>, Box<JobError>>> {
        self.batches.iter().find(|(at, _)| *at == time).map(|(_, batch)| batch)
    }

    /// Says why there is no batch at `time`.
    fn why_missing(&self, time: Time) -> String {
        match (self.batches.front(), self.batches.back()) {
            (Some((first, _)), Some((last, _))) if time <= *last => format!(
                "the batch at {time} is not remembered, only those from {first} to {last}: keep more with \
                 `remember(duration)`"
            ),
            (_, Some((last, _))) => {
                format!("the batch at {time} has not run yet: the newest is that of {last}")
            }
            _ => format!("the batch at {time} has not run yet"),
        }
    }
}

/// The end of a [`StreamHandle`] to which its pipeline publishes batches.
pub struct Publisher<T>(Weak<Shared<T>>);

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl<T> Publisher<T> {
    /// The number of records of a batch that a task must collect: none if all handles are dropped.
    pub fn limit(&self) -> usize {
        if self.0.strong_count() == 0 { 0 } else { usize::MAX }
    }

    /// Publishes a batch, and drops those that are too old.
    pub(crate) fn publish(&self, batch: &Batch<'_>, step: &Step<Rdd<T>>) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut history = shared.lock();
        history.zero = Some(batch.zero_time());
        history.last = Some(batch.time());
        match step {
            Ok(rdd) => history.batches.push_back((batch.time(), Ok(rdd.clone()))),
            Err(Missing::Failed(failure)) => history.batches.push_back((batch.time(), Err(failure.clone()))),
            Err(Missing::NotDue) => {}
        }
        let oldest = batch.time() - history.remember;
        while history.batches.len() > 1 && history.batches.front().is_some_and(|(time, _)| *time <= oldest) {
            history.batches.pop_front();
        }
    }
}

/// A source that a chain adds to its context.
pub struct SourceOf(pub(crate) Arc<dyn AnyInput>);

impl fmt::Debug for SourceOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceOf").field(&self.0.name()).finish()
    }
}

/// The input of a chain: it yields the blocks of each batch, from a source or a published stream.
#[diagnostic::on_unimplemented(
    message = "the records of `{Self}` are not known to be `dstream::Data`, so no chain can start from it",
    label = "a chain starts from records that own all they have",
    note = "bound the type parameters of the function: `T: dstream::Data`, and a key by `K: dstream::Data + \
            dstream::Key`"
)]
pub trait ChainInput: Send + 'static {
    /// One partition.
    type Block: Block + 'static;

    /// The name of the input in messages.
    fn name(&self) -> String;

    /// Registers the input with a context: returns the source to add, or `None` for a stream of the context.
    fn register(&self, context: ContextId) -> Result<Option<SourceOf>>;

    /// The blocks of the running batch.
    fn blocks(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<Self::Block>>;

    /// The slide of the stream, if it is not the batch interval.
    fn slide(&self) -> Option<Duration> {
        None
    }
}

impl<S: Source> ChainInput for Input<S> {
    type Block = S::Block;

    fn name(&self) -> String {
        AnyInput::name(self).to_owned()
    }

    fn register(&self, _: ContextId) -> Result<Option<SourceOf>> {
        Ok(Some(SourceOf(Arc::new(self.clone()))))
    }

    fn blocks(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<S::Block>> {
        Input::take(self, batch.time()).map_err(|error| batch.failed_by(op, error))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Data> ChainInput for StreamHandle<T> {
    type Block = RddBlock<T>;

    fn name(&self) -> String {
        self.shared.op.name.to_owned()
    }

    fn register(&self, context: ContextId) -> Result<Option<SourceOf>> {
        if self.shared.context == context {
            return Ok(None);
        }
        let OpMeta { name, file, line, .. } = self.shared.op;
        Err(Error::Invalid(format!(
            "the stream `{name}` at {file}:{line} belongs to another context: a chain can only start from \
             streams of its own"
        )))
    }

    fn blocks(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<RddBlock<T>>> {
        let history = self.shared.lock();
        match history.at(batch.time()) {
            Some(Ok(rdd)) => Ok(rdd.clone().into_blocks()),
            Some(Err(failure)) => Err(Missing::Failed(failure.clone())),
            None if history.last == Some(batch.time()) => Err(Missing::NotDue),
            None => Err(batch.failed(op, format!("`{}` was not published", self.shared.op.name))),
        }
    }

    fn slide(&self) -> Option<Duration> {
        Some(self.shared.slide)
    }
}

// For a type that is no source, an error should not suggest a handle.
#[diagnostic::do_not_recommend]
impl<T> IntoSource<FromHandle> for StreamHandle<T> {
    type Input = Self;

    fn into_source(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T> IntoSource<FromHandle> for &StreamHandle<T> {
    type Input = StreamHandle<T>;

    fn into_source(self) -> StreamHandle<T> {
        self.clone()
    }
}

impl Batch<'_> {
    /// The blocks of an input in this batch.
    pub fn blocks_of<I: ChainInput>(&self, input: &I, op: &OpMeta) -> Step<Vec<I::Block>> {
        input.blocks(self, op)
    }

    /// Publishes a stream to its handles. A batch that runs again is published again, since handles do not
    /// survive a restart.
    pub fn publish<T>(&mut self, input: &Step<Rdd<T>>, publisher: &Publisher<T>) {
        publisher.publish(self, input);
        if let Err(missing) = input {
            self.fail(missing.clone());
        }
    }
}
