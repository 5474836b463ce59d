//! Streams that are handed out of their pipeline, and what a chain can start from.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use crate::{
    Block, Error, Input, IntoSource, JobError, Rdd, Result, Source, StreamingContext, Time,
    batch::{Batch, Missing, OpMeta, Step},
    context::ContextId,
    rdd::RddBlock,
    record::Data,
    source::AnyInput,
    time::millis,
};

/// A stream that a pipeline hands out: the value of its last expression, if there is no `;` behind it.
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
pub struct StreamHandle<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    context: ContextId,
    op: OpMeta,
    slide: Duration,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    /// From the first batch on.
    zero: Option<Time>,
    /// The last batch that has run, whether the stream was due in it or not.
    last: Option<Time>,
    remember: Duration,
    /// Those in which the stream was due, oldest first.
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
        let kept = Kept { zero: None, last: None, remember: Duration::ZERO, batches: VecDeque::new() };
        StreamHandle { shared: Arc::new(Shared { context, op, slide, kept: Mutex::new(kept) }) }
    }

    /// What the pipeline puts the stream's batches into.
    pub fn handing(&self) -> Handing<T> {
        Handing(Arc::downgrade(&self.shared))
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
        let kept = self.shared.lock();
        let Some(zero) = kept.zero else {
            return Err(Error::State(format!("{place}: no batch has run yet: start the context first")));
        };
        let slides = millis(from.since(zero)) / millis(*slide).max(1);
        let mut at = zero + Duration::from_millis(slides.max(1).saturating_mul(millis(*slide)));
        let mut found = Vec::new();
        while at <= to {
            match kept.at(at) {
                Some(Ok(rdd)) => found.push((at, rdd.clone())),
                Some(Err(failure)) => return Err(failure.clone().into()),
                None => return Err(Error::State(format!("{place}: {}", kept.lacks(at)))),
            }
            at = at + *slide;
        }
        Ok(found)
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn at(&self, time: Time) -> Option<&Result<Rdd<T>, Box<JobError>>> {
        self.batches.iter().find(|(at, _)| *at == time).map(|(_, batch)| batch)
    }

    /// Why there is no batch at `time`.
    fn lacks(&self, time: Time) -> String {
        match (self.batches.front(), self.batches.back()) {
            (Some((first, _)), Some((last, _))) if time <= *last => format!(
                "the batch at {time} is not remembered, only those from {first} to {last}: keep more with `remember(duration)`"
            ),
            (_, Some((last, _))) => {
                format!("the batch at {time} has not run yet: the newest is that of {last}")
            }
            _ => format!("the batch at {time} has not run yet"),
        }
    }
}

/// The pipeline's end of a [`StreamHandle`].
pub struct Handing<T>(Weak<Shared<T>>);

impl<T> fmt::Debug for Handing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handing").finish_non_exhaustive()
    }
}

impl<T> Handing<T> {
    /// How many records of a batch a task need keep: none if all handles are gone.
    pub fn limit(&self) -> usize {
        if self.0.strong_count() == 0 { 0 } else { usize::MAX }
    }

    /// Takes the batch in, and lets those go that are too old.
    pub(crate) fn put(&self, batch: &Batch<'_>, step: &Step<Rdd<T>>) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut kept = shared.lock();
        kept.zero = Some(batch.zero_time());
        kept.last = Some(batch.time());
        match step {
            Ok(rdd) => kept.batches.push_back((batch.time(), Ok(rdd.clone()))),
            Err(Missing::Failed(failure)) => kept.batches.push_back((batch.time(), Err(failure.clone()))),
            Err(Missing::NotDue) => {}
        }
        let oldest = batch.time() - kept.remember;
        while kept.batches.len() > 1 && kept.batches.front().is_some_and(|(time, _)| *time <= oldest) {
            kept.batches.pop_front();
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

/// What the loops of a chain take their blocks from, batch by batch.
#[diagnostic::on_unimplemented(
    message = "the records of `{Self}` are not known to be `dstream::Data`, so no chain can start from it",
    label = "a chain starts from records that own all they have",
    note = "bound the type parameters of the function: `T: dstream::Data`, and a key by `K: dstream::Data + dstream::Key`"
)]
pub trait Feed: Send + 'static {
    /// One partition.
    type Block: Block + 'static;

    /// How messages name it.
    fn name(&self) -> String;

    /// What becomes a part of this context: a source, or nothing more, if it is a stream of the context
    /// already.
    fn join(&self, context: &StreamingContext) -> Result<Option<SourceOf>>;

    /// The blocks of a batch that runs.
    fn take(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<Self::Block>>;

    /// How far the stream slides, if not by the batch interval.
    fn slide(&self) -> Option<Duration> {
        None
    }
}

impl<S: Source> Feed for Input<S> {
    type Block = S::Block;

    fn name(&self) -> String {
        AnyInput::name(self).to_owned()
    }

    fn join(&self, _: &StreamingContext) -> Result<Option<SourceOf>> {
        Ok(Some(SourceOf(Arc::new(self.clone()))))
    }

    fn take(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<S::Block>> {
        Input::take(self, batch.time()).map_err(|error| batch.failed_by(op, error))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Data> Feed for StreamHandle<T> {
    type Block = RddBlock<T>;

    fn name(&self) -> String {
        self.shared.op.name.to_owned()
    }

    fn join(&self, context: &StreamingContext) -> Result<Option<SourceOf>> {
        if self.shared.context == context.id() {
            return Ok(None);
        }
        let OpMeta { name, file, line, .. } = self.shared.op;
        Err(Error::Invalid(format!(
            "the stream `{name}` at {file}:{line} belongs to another context: a chain can only start from streams of its own"
        )))
    }

    fn take(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<RddBlock<T>>> {
        let kept = self.shared.lock();
        match kept.at(batch.time()) {
            Some(Ok(rdd)) => Ok(rdd.clone().into_blocks()),
            Some(Err(failure)) => Err(Missing::Failed(failure.clone())),
            None if kept.last == Some(batch.time()) => Err(Missing::NotDue),
            None => Err(batch.failed(op, format!("`{}` was not handed out", self.shared.op.name))),
        }
    }

    fn slide(&self) -> Option<Duration> {
        Some(self.shared.slide)
    }
}

/// Marks a [`StreamHandle`] in [`IntoSource`].
#[derive(Debug)]
pub struct FromHandle;

// What is no source should hardly become a handle.
#[diagnostic::do_not_recommend]
impl<T> IntoSource<FromHandle> for StreamHandle<T> {
    type Feed = Self;

    fn into_source(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T> IntoSource<FromHandle> for &StreamHandle<T> {
    type Feed = StreamHandle<T>;

    fn into_source(self) -> StreamHandle<T> {
        self.clone()
    }
}
