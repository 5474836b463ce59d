//! What `stream!` expands to calls this: it puts a pipeline into a context.

use std::time::Duration;

use super::{
    StreamingContext,
    hoisted::{Hoisted, Operator},
    parts::{Parts, SourcePart},
};
use crate::{
    Config, Error, Result, StreamHandle,
    batch::{Batch, Pipeline},
    chart::{Chart, Kind},
    checkpoint::{Stateful, Storage},
    exchange::Part,
    model::{Model, ModelHandle, trainer::Trainer},
    ops::dashboard::Dashboard,
    output::Output,
    plan::{Fact, OpMeta, PipelineMeta, PipelinePlan, WindowPlan},
    source::{
        IntoSource,
        handle::{ChainInput, ContextId, SourceOf},
    },
    window::WindowSpec,
};

/// A pipeline on its way into a context. Errors are kept until [`Builder::finish`], so that the user's `?`
/// stands in one place.
#[derive(Debug)]
pub struct Builder {
    context: Result<StreamingContext>,
    /// What is found out about the operators on the way, for the plan.
    facts: Vec<(OpMeta, Fact)>,
    /// The name of the pipeline, if it has one.
    pipeline: Option<String>,
    parts: Parts,
}

/// What `named` says of something, if it does.
type Name = Option<&'static str>;

impl Builder {
    /// For `stream!(batch = .., {})`: a context of its own.
    pub fn create(
        name: Option<String>,
        batch: Duration,
        config: Option<Config>,
        checkpoint: Option<Storage>,
        forget: Option<Vec<String>>,
    ) -> Builder {
        let context = StreamingContext::with_config(batch, config.unwrap_or_default());
        if let (Ok(context), Some(name)) = (&context, name) {
            context.set_name(name);
        }
        if let (Ok(context), Some(storage)) = (&context, checkpoint) {
            context.set_checkpoint(storage);
        }
        if let (Ok(context), Some(forget)) = (&context, forget) {
            context.set_forget(forget);
        }
        Builder { context, facts: Vec::new(), pipeline: None, parts: Parts::default() }
    }

    /// For `stream!(ssc, {})`: one more pipeline of a context. Its name is the first part of the names of
    /// what it keeps.
    pub fn extend(context: &StreamingContext, pipeline: Option<String>) -> Builder {
        let context = match &pipeline {
            Some(name) if name.is_empty() => Err(Error::Invalid(
                "the name of a pipeline is empty: give it one that no other pipeline of the context has"
                    .into(),
            )),
            _ => Ok(context.clone()),
        };
        Builder { context, facts: Vec::new(), pipeline, parts: Parts::default() }
    }

    /// The name of something of this pipeline, as the whole context knows it.
    fn full_name(&self, name: &str) -> String {
        match &self.pipeline {
            Some(pipeline) => format!("{pipeline}/{name}"),
            None => name.to_owned(),
        }
    }

    /// The batch interval.
    pub fn interval(&self) -> Duration {
        self.context.as_ref().map(StreamingContext::batch_interval).unwrap_or_default()
    }

    /// Adds what a chain starts from, at `op`. `name` is what a checkpoint knows it by, within this pipeline;
    /// without one, a source names itself.
    pub fn source<M, S: IntoSource<M, Input: ChainInput>>(
        &mut self,
        op: &OpMeta,
        name: Name,
        source: S,
    ) -> S::Input {
        let input = source.into_source();
        let own = input.name();
        let mut known = own.clone();
        match self.context.as_ref().map(|context| input.register(context.id())) {
            Ok(Ok(Some(SourceOf(input)))) => {
                known = self.full_name(name.unwrap_or(&own));
                self.parts.sources.push(SourcePart { name: known.clone(), op: *op, input });
            }
            Ok(Ok(None)) if name.is_some() => {
                self.context = Err(Error::Invalid(format!(
                    "`{own}` at {}:{} is a stream that another pipeline publishes, and no source: remove \
                     `.named(..)` here, and write it there behind what is to be named",
                    op.file, op.line
                )));
            }
            Ok(Err(error)) => self.context = Err(error),
            // Nothing to add, or something was wrong before.
            Ok(Ok(None)) | Err(_) => {}
        }
        self.facts.push((*op, Fact::Name(known)));
        input
    }

    /// The handle on a stream with this slide; `None` is the batch interval.
    pub fn publish<T>(&mut self, op: &OpMeta, slide: Option<Duration>) -> StreamHandle<T> {
        self.parts.acts = true;
        let context = self.context.as_ref().map_or_else(|_| ContextId::unique(), StreamingContext::id);
        StreamHandle::new(context, *op, slide.unwrap_or(self.interval()))
    }

    /// Checks the number of partitions that a shuffle was asked for; without one, the context's default.
    pub fn partitions(&mut self, asked: Option<usize>, op: &OpMeta) -> usize {
        let partitions = match asked {
            Some(n @ 1..=65_536) => n,
            Some(n) => {
                self.then(|_| {
                    Err(Error::Invalid(format!(
                        "`{}` at {}:{}: {n} partitions asked for: from 1 to 65536 are possible",
                        op.name, op.file, op.line
                    )))
                });
                1
            }
            None => self.context.as_ref().map_or(1, StreamingContext::default_partitions),
        };
        self.facts.push((*op, Fact::Partitions(partitions)));
        partitions
    }

    /// Checks the fraction of the records that a sample keeps.
    pub fn fraction(&mut self, fraction: f64, op: &OpMeta) -> f64 {
        if !(0.0..=1.0).contains(&fraction) {
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: the fraction is {fraction}, but must be from 0.0 (no record) to 1.0 \
                     (all)",
                    op.name, op.file, op.line
                )))
            });
        }
        fraction
    }

    /// Checks a window over a stream with the slide `parent`; `None` is the batch interval. `slide` is the
    /// parent's if there is none.
    pub fn window(
        &mut self,
        length: Duration,
        slide: Option<Duration>,
        parent: Option<Duration>,
        op: &OpMeta,
    ) -> WindowSpec {
        let (unit, of) = match parent {
            Some(parent) => (parent, "the slide of its stream"),
            None => (self.interval(), "the batch interval"),
        };
        let slide = slide.unwrap_or(unit);
        let values = [("length", length), ("slide", slide)];
        // Without a unit there is a first error already.
        if let Some((what, value)) =
            values.into_iter().find(|(_, value)| !unit.is_zero() && !is_multiple(*value, unit))
        {
            let fits =
                unit.saturating_mul(u32::try_from(value.as_nanos() / unit.as_nanos()).unwrap_or(u32::MAX));
            let or_more = fits.saturating_add(unit);
            let fits =
                if fits.is_zero() { format!("{or_more:?}") } else { format!("{fits:?} or {or_more:?}") };
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: the {what} of the window is {value:?}, which is not a multiple of {of}, \
                     {unit:?}: {fits} would be",
                    op.name, op.file, op.line
                )))
            });
        }
        self.facts.push((*op, Fact::Window(WindowPlan { length, slide })));
        let part = self.context.as_ref().map_or(Part::ALL, StreamingContext::part);
        WindowSpec { length, slide, part }
    }

    /// Checks that two streams that meet in `op` have a batch at the same times; `None` is the batch
    /// interval.
    pub fn same_slide(&mut self, first: Option<Duration>, second: Option<Duration>, op: &OpMeta) {
        let interval = self.interval();
        let (first, second) = (first.unwrap_or(interval), second.unwrap_or(interval));
        if first != second {
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: its streams have different slides, {first:?} and {second:?}: give both \
                     the same, for example with `window`",
                    op.name, op.file, op.line
                )))
            });
        }
    }

    /// Keeps the state of an operator where the batches and the checkpoints find it. `name` is what a
    /// checkpoint knows it by, within this pipeline.
    pub fn stateful<T: Stateful + 'static>(&mut self, name: &str, op: &OpMeta, operator: T) -> Hoisted<T> {
        self.keep(name, op, operator, true)
    }

    /// As `stateful`, for a window: without a checkpoint it begins empty, and is as it was one length later.
    pub fn windowed<T: Stateful + 'static>(&mut self, name: &str, op: &OpMeta, operator: T) -> Hoisted<T> {
        self.keep(name, op, operator, false)
    }

    /// The operator that trains a model: the only one. The pipeline does something then, also without an
    /// output.
    pub fn trainer<M: Model>(&mut self, model: &ModelHandle<M>, op: &OpMeta) -> Trainer<M> {
        self.parts.acts = true;
        let claim = model.claim();
        if claim.is_none() {
            self.then(|_| {
                Err(Error::Invalid(format!(
                    "`{}` at {}:{}: this model is trained by another operator already, and would be written \
                     to the checkpoint                      twice: train it once, on the `union` of the \
                     streams, or make another model",
                    op.name, op.file, op.line
                )))
            });
        }
        Trainer::new(model, claim)
    }

    fn keep<T: Stateful + 'static>(
        &mut self,
        name: &str,
        op: &OpMeta,
        operator: T,
        has_state: bool,
    ) -> Hoisted<T> {
        let name = self.full_name(name);
        self.facts.push((*op, Fact::Name(name.clone())));
        let hoisted = Hoisted::new(operator);
        let shared = hoisted.share();
        self.parts.operators.push(Operator { name, op: *op, has_state, shared });
        hoisted
    }

    /// An output, in the order of the program. `name` is what a checkpoint knows it by, within this pipeline.
    pub fn output(&mut self, name: &str, op: &OpMeta) -> Output {
        let name = self.full_name(name);
        self.facts.push((*op, Fact::Name(name.clone())));
        let output = Output::new(name, op);
        self.parts.outputs.push(output.clone());
        output
    }

    /// A chart of this context, for the output `dashboard`.
    pub fn dashboard<K: Kind>(&self, title: impl Into<String>, chart: Chart<K>) -> Dashboard<K> {
        let events = self.context.as_ref().map(StreamingContext::events).unwrap_or_default();
        Dashboard::new(title.into(), chart, events)
    }

    /// Adds the function that runs once a batch.
    pub fn pipeline(&mut self, meta: &PipelineMeta, run: impl FnMut(&mut Batch<'_>) + Send + 'static) {
        self.parts.plan = Some(PipelinePlan::new(meta, &self.facts));
        self.parts.pipeline = Some(Pipeline { run: Box::new(run) });
    }

    /// The context with this pipeline, or the first thing that was wrong.
    pub fn finish(self) -> Result<StreamingContext> {
        let context = self.context?;
        context.add(self.parts)?;
        Ok(context)
    }

    fn then(&mut self, step: impl FnOnce(&StreamingContext) -> Result<()>) {
        if let Ok(context) = &self.context
            && let Err(error) = step(context)
        {
            self.context = Err(error);
        }
    }
}

fn is_multiple(value: Duration, unit: Duration) -> bool {
    !value.is_zero() && value.as_nanos().is_multiple_of(unit.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Rdd,
        batch::Missing,
        sink::policy::OutputPolicy,
        window::{CountByWindow, tests::OP},
    };

    const NO_PLAN: PipelineMeta = PipelineMeta { places: &[], operators: &[], stages: &[] };

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refusal(check: impl FnOnce(&mut Builder)) -> String {
        let mut builder = Builder::create(None, s(2), None, None, None);
        check(&mut builder);
        builder.finish().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn windows_fit_the_slide_of_their_stream() {
        let window = |length, slide, parent| {
            refusal(|b| {
                b.window(length, slide, parent, &OP);
            })
        };
        assert_eq!(window(s(6), Some(s(4)), None), "");
        assert_eq!(window(s(8), None, Some(s(4))), "");
        let place = format!("`the_operator` at {}:1", OP.file);
        assert_eq!(
            window(s(5), Some(s(4)), None),
            format!(
                "{place}: the length of the window is 5s, which is not a multiple of the batch interval, 2s: \
                 4s or 6s would be"
            )
        );
        assert_eq!(
            window(s(8), Some(s(6)), Some(s(4))),
            format!(
                "{place}: the slide of the window is 6s, which is not a multiple of the slide of its stream, \
                 4s: 4s or 8s would be"
            )
        );
        assert!(window(s(8), Some(s(0)), None).contains("slide of the window is 0ns"));
        assert!(window(Duration::from_millis(1_999), None, None).ends_with("2s: 2s would be"));
        assert!(!window(Duration::MAX, None, None).is_empty());
    }

    #[test]
    fn streams_that_meet_have_one_slide() {
        assert_eq!(refusal(|b| b.same_slide(None, Some(s(2)), &OP)), "");
        assert!(refusal(|b| b.same_slide(None, Some(s(4)), &OP)).contains("different slides, 2s and 4s"));
    }

    /// No output meets it yet, but it is this batch that must be run again after a restart.
    #[test]
    fn a_batch_that_is_lost_to_a_window_has_failed() {
        let mut builder = Builder::create(None, s(1), None, None, None);
        let spec = builder.window(s(3), Some(s(3)), None, &OP);
        let counts = builder.windowed("counts", &OP, CountByWindow::new(spec));
        let mut k = 0;
        let output = builder.output("counts", &OP);
        builder.pipeline(&NO_PLAN, move |batch| {
            k += 1;
            let input =
                if k == 1 { Err(batch.failed(&OP, "lost".into())) } else { Ok(Rdd::parallelize(vec![1])) };
            let step = counts.lock().step(batch, &OP, input);
            batch.output(&output, &step, &mut OutputPolicy::new(None, None), |_, _| Ok(()));
        });
        let context = builder.finish().unwrap();
        let failed: Vec<bool> = (0..6).map(|_| context.run_batches(1).is_err()).collect();
        // When it was lost, and when it is missed.
        assert_eq!(failed, [true, false, true, false, false, false]);
    }

    /// The per-batch function and the checkpoint see the same operator, and windows align to the first batch.
    #[test]
    fn hoisted_operators_are_shared_and_align_to_the_zero_time() {
        let mut builder = Builder::create(None, s(1), None, None, None);
        let spec = builder.window(s(2), Some(s(3)), None, &OP);
        let counts = builder.windowed("counts", &OP, CountByWindow::new(spec));
        let (out, seen) = std::sync::mpsc::channel();
        let output = builder.output("counts", &OP);
        builder.pipeline(&NO_PLAN, move |batch| {
            let step = counts.lock().step(batch, &OP, Ok(Rdd::parallelize(vec![1])));
            let k = batch.time().since(batch.zero_time()).as_secs();
            let found = match &step {
                Ok(rdd) => Some(rdd.collect()),
                Err(Missing::NotDue) => None,
                Err(Missing::Failed(failure)) => panic!("{failure}"),
            };
            let _ = out.send((k, found));
            // Is not called where the step isn't due.
            batch.output(&output, &step, &mut OutputPolicy::new(None, None), |counts, _| {
                assert_eq!(counts.collect(), [2]);
                Ok(())
            });
        });
        let context = builder.finish().unwrap();
        context.run_batches(6).unwrap();
        let due: Vec<_> = seen.try_iter().filter_map(|(k, found)| Some((k, found?))).collect();
        assert_eq!(due, [(3, vec![2]), (6, vec![2])]);
    }
}
