//! `check_sink`: what a sink promises, tried on one.

use std::{fmt::Debug, sync::Arc};

use super::{Begin, Inner, Sink, SinkBatch, SinkContext, SinkError};
use crate::{Data, Time, clock::CancellationToken, clock::manual::ManualClock, exec, sink::Partition};

/// A sink, and where it writes to, for [`check_sink`].
pub trait SinkFixture {
    /// A record.
    type Record: Data + Debug;
    /// The sink.
    type Sink: Sink<Self::Record>;

    /// A new sink to the same target: what a program makes of it when it starts.
    fn sink(&mut self) -> Self::Sink;

    /// Record number `n`; different numbers give different records.
    fn record(&mut self, n: u64) -> Self::Record;

    /// All records that a reader sees at the target, in any order.
    fn read(&mut self) -> Vec<Self::Record>;

    /// The process of the sink dies. The default drops it, as connections that end do; a sink that removes
    /// files when it is dropped should be [forgotten](std::mem::forget) instead.
    fn crash(&mut self, sink: Self::Sink) {
        drop(sink);
    }

    /// Breaks the target for a while, so that writing to it gives a transient error, or mends it. `false`,
    /// the default, if that can't be done: it is then not tested.
    fn disturb(&mut self, broken: bool) -> bool {
        let _ = broken;
        false
    }

    /// Whether several outputs, of several applications, can write to this target, as to one table. Not so
    /// where the target is part of what the sink is made with, as the folder of the file outputs.
    fn is_shared(&self) -> bool {
        true
    }
}

/// Tries a sink, for its author: whether each batch is at the target exactly once, whatever happens on the
/// way.
///
/// What is tried: partitions that are written in any order, and several at once; empty partitions and
/// batches; that nothing of a batch is seen before its commit; a crash after every step, and the batch again
/// by a new sink; a batch that was written, again; an attempt that is aborted, and another; a batch that
/// failed, written after a later one; the same time in another output and in another application; transient
/// errors. `Err` says what was done, what was expected at the target, and what was found.
///
/// ```
/// use dstream::{sink::{Partition, Sink, SinkBatch, SinkError}, testing::{SinkFixture, check_sink}};
/// use std::sync::{Arc, Mutex};
///
/// /// Appends, and does not know what it has written.
/// struct Append(Arc<Mutex<Vec<u64>>>);
///
/// impl Sink<u64> for Append {
///     type Part = Vec<u64>;
///
///     fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
///         Ok(partition.iter().copied().collect())
///     }
///
///     fn commit(&mut self, _: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
///         self.0.lock().map_err(|_| "a thread has panicked")?.extend(parts.concat());
///         Ok(())
///     }
/// }
///
/// struct Fixture(Arc<Mutex<Vec<u64>>>);
///
/// impl SinkFixture for Fixture {
///     type Record = u64;
///     type Sink = Append;
///
///     fn sink(&mut self) -> Append {
///         Append(self.0.clone())
///     }
///
///     fn record(&mut self, n: u64) -> u64 {
///         n
///     }
///
///     fn read(&mut self) -> Vec<u64> {
///         self.0.lock().map(|records| records.clone()).unwrap_or_default()
///     }
/// }
///
/// let fault = check_sink(Fixture(Arc::default())).unwrap_err();
/// assert!(fault.contains("then the batch twice"), "{fault}");
/// ```
pub fn check_sink<F: SinkFixture>(fixture: F) -> Result<(), String> {
    let mut check = Check { fixture, expected: Vec::new(), records: 0, time: 1_000_000 };
    check.partitions()?;
    check.empty_batches()?;
    check.crashes()?;
    check.aborted()?;
    check.late()?;
    check.outputs()?;
    check.transient()
}

struct Check<F: SinkFixture> {
    fixture: F,
    expected: Vec<F::Record>,
    /// How many records there were so far.
    records: u64,
    /// The time of the last batch.
    time: u64,
}

/// A batch of the check.
struct Input<T> {
    time: Time,
    partitions: Vec<Vec<T>>,
}

type Part<F> = <<F as SinkFixture>::Sink as Sink<<F as SinkFixture>::Record>>::Part;

impl<F: SinkFixture> Check<F> {
    fn input(&mut self, sizes: &[usize]) -> Input<F::Record> {
        self.time += 1_000;
        let mut record = || {
            self.records += 1;
            self.fixture.record(self.records)
        };
        let partitions = sizes.iter().map(|size| (0..*size).map(|_| record()).collect()).collect();
        Input { time: Time::from_millis(self.time), partitions }
    }

    /// A new sink for this output, opened.
    fn open(&mut self, application: &str, output: &str) -> Result<(F::Sink, SinkContext), String> {
        let context = SinkContext {
            inner: Arc::new(Inner {
                application: application.to_owned(),
                output: output.to_owned(),
                default_partitions: 4,
                clock: Arc::new(ManualClock::new(Time::from_millis(self.time))),
                stopping: CancellationToken::new(),
                runtime: Arc::default(),
            }),
        };
        let mut sink = self.fixture.sink();
        sink.open(&context).map_err(|error| format!("a new sink can't be opened: {error}"))?;
        Ok((sink, context))
    }

    /// Writes the partitions in the order given by `order`; `Ok(None)` if the sink says that all is there.
    fn write(
        &self,
        sink: &mut F::Sink,
        batch: &SinkBatch,
        input: &Input<F::Record>,
        order: &[usize],
        at_once: bool,
    ) -> Result<Option<Vec<Part<F>>>, SinkError> {
        if sink.begin(batch)? == Begin::AlreadyWritten {
            return Ok(None);
        }
        let writer = &*sink;
        let written = exec::run(order.to_vec(), !at_once, |index| {
            (index, writer.write(batch, Partition::new(index, &input.partitions[index])))
        });
        let mut parts: Vec<_> = written.into_iter().collect();
        parts.sort_by_key(|(index, _)| *index);
        parts.into_iter().map(|(_, part)| part).collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// Writes a whole batch.
    fn batch(
        &mut self,
        sink: &mut F::Sink,
        batch: &SinkBatch,
        input: &Input<F::Record>,
        doing: &str,
    ) -> Result<(), String> {
        let order: Vec<usize> = (0..input.partitions.len()).collect();
        let written = self.write(sink, batch, input, &order, true);
        let outcome = written.and_then(|parts| parts.map_or(Ok(()), |parts| sink.commit(batch, parts)));
        outcome.map_err(|error| format!("{doing}: the sink failed: {error}"))
    }

    /// Compares what a reader sees with all that was committed.
    fn compare(&mut self, doing: &str) -> Result<(), String> {
        let text = |records: &[F::Record]| {
            let mut text: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
            text.sort();
            text
        };
        let (found, expected) = (text(&self.fixture.read()), text(&self.expected));
        if found == expected {
            return Ok(());
        }
        let surplus = difference(&found, &expected);
        let missing = difference(&expected, &found);
        Err(format!(
            "{doing}: a reader sees {} records, expected {}; missing: {missing:?}; twice, or not expected: \
             {surplus:?}",
            found.len(),
            expected.len()
        ))
    }

    fn committed(&mut self, input: &Input<F::Record>) {
        self.expected.extend(input.partitions.iter().flatten().cloned());
    }

    fn partitions(&mut self) -> Result<(), String> {
        let (mut sink, context) = self.open("app", "output")?;
        for (order, at_once) in [([3, 1, 2, 0], false), ([0, 1, 2, 3], true)] {
            let input = self.input(&[2, 0, 3, 1]);
            let doing = format!("partitions written in the order {order:?}");
            let batch = first(&context, &input);
            let failed = |error: SinkError| format!("{doing}: the sink failed: {error}");
            let parts = self.write(&mut sink, &batch, &input, &order, at_once).map_err(failed)?;
            let Some(parts) = parts else {
                return Err(format!("{doing}: the sink says that a new batch is written already"));
            };
            self.compare("before the first commit of a batch")?;
            sink.commit(&batch, parts).map_err(failed)?;
            self.committed(&input);
            self.compare(&doing)?;
        }
        sink.close();
        drop(sink);
        self.compare("after `close`")
    }

    fn empty_batches(&mut self) -> Result<(), String> {
        let (mut sink, context) = self.open("app", "output")?;
        for sizes in [&[][..], &[0, 0], &[2], &[]] {
            let input = self.input(sizes);
            let doing = format!("a batch with partitions of {sizes:?} records");
            self.batch(&mut sink, &first(&context, &input), &input, &doing)?;
            self.committed(&input);
            self.compare(&doing)?;
        }
        Ok(())
    }

    /// The process ends after each step of a batch; a new one writes the batch again, twice.
    fn crashes(&mut self) -> Result<(), String> {
        const PARTITIONS: usize = 3;
        // begin, a write for each partition, commit.
        for step in 0..=PARTITIONS + 1 {
            let input = self.input(&[2, 1, 2]);
            let doing = match step {
                0 => "a crash after `begin`".to_owned(),
                step if step <= PARTITIONS => format!("a crash after {step} of {PARTITIONS} partitions"),
                _ => "a crash after the commit".to_owned(),
            };
            let (mut sink, context) = self.open("app", "output")?;
            let batch = first(&context, &input);
            let written: Vec<usize> = (0..step.min(PARTITIONS)).rev().collect();
            let failed = |error: SinkError| format!("{doing}: the sink failed before it: {error}");
            let parts = self.write(&mut sink, &batch, &input, &written, false).map_err(failed)?;
            if step > PARTITIONS {
                sink.commit(&batch, parts.unwrap_or_default()).map_err(failed)?;
                self.committed(&input);
            }
            self.fixture.crash(sink);
            self.compare(&doing)?;
            if step <= PARTITIONS {
                self.committed(&input);
            }
            for doing in [format!("{doing}, then the batch again"), format!("{doing}, then the batch twice")]
            {
                let (mut sink, context) = self.open("app", "output")?;
                self.batch(&mut sink, &again(&context, &input), &input, &doing)?;
                self.fixture.crash(sink);
                self.compare(&doing)?;
            }
        }
        Ok(())
    }

    fn aborted(&mut self) -> Result<(), String> {
        let (mut sink, context) = self.open("app", "output")?;
        for partitions in [0, 1, 2] {
            let input = self.input(&[1, 2]);
            let doing = format!("an attempt aborted after {partitions} partitions");
            let batch = first(&context, &input);
            let order: Vec<usize> = (0..partitions).collect();
            let parts = self.write(&mut sink, &batch, &input, &order, false);
            drop(parts.map_err(|error| format!("{doing}: the sink failed: {error}"))?);
            sink.abort(&batch);
            self.compare(&doing)?;
            let batch = SinkBatch { attempt: 2, may_be_written: true, ..batch };
            let doing = format!("{doing}, and a second attempt");
            self.batch(&mut sink, &batch, &input, &doing)?;
            self.committed(&input);
            self.compare(&doing)?;
        }
        Ok(())
    }

    /// A batch fails and the next is written. After a restart both come again: one is there, the other is
    /// not.
    fn late(&mut self) -> Result<(), String> {
        let (mut sink, context) = self.open("app", "output")?;
        let (failed, next) = (self.input(&[2]), self.input(&[1, 1]));
        let batch = first(&context, &failed);
        let begun = self.write(&mut sink, &batch, &failed, &[], false);
        begun.map_err(|error| format!("a batch that is to be aborted: the sink failed: {error}"))?;
        sink.abort(&batch);
        let doing = "a batch behind one that failed";
        self.batch(&mut sink, &first(&context, &next), &next, doing)?;
        self.committed(&next);
        self.compare(doing)?;
        self.fixture.crash(sink);
        let (mut sink, context) = self.open("app", "output")?;
        let doing = "after a restart, a batch that failed, older than the last one written";
        self.batch(&mut sink, &again(&context, &failed), &failed, doing)?;
        self.committed(&failed);
        self.compare(doing)?;
        let doing = "after a restart, a batch that was written behind one that failed";
        self.batch(&mut sink, &again(&context, &next), &next, doing)?;
        self.compare(doing)
    }

    fn outputs(&mut self) -> Result<(), String> {
        if !self.fixture.is_shared() {
            return Ok(());
        }
        let mut time = None;
        for (application, output) in
            [("app", "output"), ("app", "other"), ("another", "output"), ("app", "another/output")]
        {
            let doing = format!("a batch of the output `{output}` of the application `{application}`");
            let mut input = self.input(&[1, 1]);
            input.time = *time.get_or_insert(input.time);
            for round in ["", ", again"] {
                let (mut sink, context) = self.open(application, output)?;
                let doing = format!("{doing}{round}");
                self.batch(&mut sink, &again(&context, &input), &input, &doing)?;
                if round.is_empty() {
                    self.committed(&input);
                }
                self.compare(&doing)?;
            }
        }
        Ok(())
    }

    fn transient(&mut self) -> Result<(), String> {
        let (mut sink, context) = self.open("app", "output")?;
        if !self.fixture.disturb(true) {
            return Ok(());
        }
        let input = self.input(&[2, 1]);
        let batch = first(&context, &input);
        let written = self.write(&mut sink, &batch, &input, &[0, 1], true);
        let outcome = written.and_then(|parts| parts.map_or(Ok(()), |parts| sink.commit(&batch, parts)));
        match outcome {
            Ok(()) => {
                return Err("while the target is broken: the sink says that it has written a batch".into());
            }
            Err(error) if !error.is_transient() => {
                return Err(format!(
                    "while the target is broken: the sink's error is not transient: {error}"
                ));
            }
            Err(_) => sink.abort(&batch),
        }
        self.fixture.disturb(false);
        self.compare("after a transient error")?;
        let batch = SinkBatch { attempt: 2, may_be_written: true, ..batch };
        let doing = "a second attempt after a transient error";
        self.batch(&mut sink, &batch, &input, doing)?;
        self.committed(&input);
        self.compare(doing)
    }
}

fn first<T>(context: &SinkContext, input: &Input<T>) -> SinkBatch {
    SinkBatch {
        context: context.clone(),
        time: input.time,
        attempt: 1,
        partitions: input.partitions.len(),
        records: input.partitions.iter().map(Vec::len).sum(),
        may_be_written: false,
        rerun_from: Time::from_millis(1_000_000),
    }
}

fn again<T>(context: &SinkContext, input: &Input<T>) -> SinkBatch {
    SinkBatch { may_be_written: true, ..first(context, input) }
}

/// What of `a`, with repetitions, is not in `b`; the first few.
fn difference<'a>(a: &'a [String], b: &[String]) -> Vec<&'a String> {
    let mut rest = b.to_vec();
    let left = a.iter().filter(|item| match rest.iter().position(|other| other == *item) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    });
    left.take(5).collect()
}
