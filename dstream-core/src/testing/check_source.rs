//! The conformance test of sources.

use std::{collections::BTreeMap, fmt::Debug, sync::mpsc, thread, time::Duration};

use crate::{
    Config, Error, Record, Result, Time,
    block::Block,
    checkpoint::{Changes, Stateful, decode},
    clock::{Clock, Stopwatch, SystemClock},
    source::{Limits, Source, SourceContext},
    testing::ManualClock,
};

/// How many batches there are, and how far they are apart.
const BATCHES: usize = 4;
const INTERVAL: Duration = Duration::from_secs(1);
/// The largest plan, which a checkpoint writes in each batch.
const PLAN_BYTES: usize = 64 << 10;
/// How long a stop may take: a receiver's is waited for ten seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long records that have arrived may take until a batch has them, and how long until it is looked again.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// What the `arrive` of [`check_source`] says: nothing, or how many records it has let arrive.
pub trait Arrived {
    /// The number of records, if it is known.
    fn records(self) -> Option<usize>;
}

impl Arrived for () {
    fn records(self) -> Option<usize> {
        None
    }
}

impl Arrived for usize {
    fn records(self) -> Option<usize> {
        Some(self)
    }
}

/// Checks that a [`Source`] keeps the promises of its contract: for tests of those who write one.
///
/// `open` makes the source, as each start of a program does; all of these read from the same place. `arrive`
/// is called before each of some batches, with a number from 0, and lets some records arrive there. Batches
/// are an hour after the machine's time, so that nothing that is written meanwhile is too young. `Err` says
/// which promise was broken, and how:
///
/// * a plan is small, and is the same when it has been written and read;
/// * its blocks have the same records in a new instance that has the state of then. A block that can't be
///   opened is an error of the check, also one that a batch would [leave out](crate::block::Block::open);
/// * such an instance goes on behind that batch: it leaves nothing out, and has nothing twice;
/// * limits are kept, or not looked at, and lose nothing;
/// * a stop returns, also while nothing arrives; what a stopped source still has is had by one more plan.
///
/// A source that reads ahead on a thread of its own has what arrives only after a while. For such a one
/// `arrive` returns how many records have arrived: batches are then planned until they have had as many, for
/// half a minute at most, and the limits must be kept.
///
/// ```
/// use dstream::{source::rate_stream, testing::check_source};
///
/// check_source(|| rate_stream(100), |_batch| {})?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn check_source<S, O, A: Arrived>(
    mut open: impl FnMut() -> S,
    mut arrive: impl FnMut(usize) -> A,
) -> Result<()>
where
    S: Source<Block: for<'a> Block<Record<'a>: Record<Owned = O>>>,
    O: PartialEq + Debug,
{
    let mut time = (SystemClock.now() + Duration::from_secs(3_600)).next_multiple_of(INTERVAL);
    let mut source = Started::new(open())?;
    let mut batches: Vec<Planned<O>> = Vec::new();
    let mut reads_ahead = false;
    for number in 0..BATCHES {
        let arrived = arrive(number).records();
        reads_ahead |= arrived.is_some();
        let planned = source.plan_arrived(&mut time, &Limits::none(), arrived)?;
        batches.extend(planned);
    }
    let (name, can_replay, keeps_state) =
        (source.source.name(), source.source.can_replay(), source.source.state().is_some());
    // A fresh instance, with what the checkpoint of a batch has of the source.
    let mut restarted = |batch: usize| {
        let mut fresh = Started::new(open())?;
        match fresh.source.name() == name {
            true => fresh.restore(&batches[batch].state).map(|()| fresh),
            false => Err(broken(
                "its name is the same at each start",
                format_args!("found `{name}` and `{}`", fresh.source.name()),
            )),
        }
    };
    if can_replay {
        for (at, batch) in batches.iter().enumerate() {
            let Some(plan) = &batch.plan else { continue };
            let found = restarted(at)?.replay(batch.time, plan)?;
            let what = format_args!("batch {at} in a new instance");
            same("the same plan gives the same records", what, &found, &batch.records)?;
        }
    }
    if keeps_state {
        let expected = |at: usize| batches[at + 1..].iter().flat_map(|batch| &batch.records);
        let due = |at: usize| reads_ahead.then(|| expected(at).count());
        for at in 0..batches.len().saturating_sub(1) {
            let (mut fresh, mut time) = (restarted(at)?, batches[at + 1].time);
            let mut rest = fresh.plan_arrived(&mut time, &Limits::none(), due(at))?;
            for _ in at + 2..batches.len() {
                rest.extend(fresh.plan_arrived(&mut time, &Limits::none(), reads_ahead.then_some(0))?);
            }
            same_set("a new instance goes on where the state is", at, records(rest), expected(at))?;
        }
    }
    if keeps_state && batches.len() > 1 {
        let mut time = batches[1].time;
        let (mut fresh, limit) = (restarted(0)?, Limits::records(1));
        let mut limited = records(fresh.plan_arrived(&mut time, &limit, None)?);
        if reads_ahead {
            let clock = Stopwatch::start();
            while limited.is_empty() && clock.elapsed() < ARRIVAL_TIMEOUT {
                fresh.context.stopping.wait_timeout(LOOK);
                limited = records(fresh.plan_arrived(&mut time, &limit, None)?);
            }
            if limited.len() > 1 {
                let found = format_args!("with a limit of 1 record the batch has {}", limited.len());
                return Err(broken("limits are kept", found));
            }
            let expected: Vec<&O> = batches[1..].iter().flat_map(|batch| &batch.records).collect();
            let due = expected.len() - limited.len().min(expected.len());
            limited.extend(records(fresh.plan_arrived(&mut time, &Limits::none(), Some(due))?));
            same_set("limits lose nothing", 0, limited, expected.into_iter())?;
        } else {
            let whole =
                records(restarted(0)?.plan_arrived(&mut batches[1].time.clone(), &Limits::none(), None)?);
            if limited.len() > 1 && limited != whole {
                return Err(broken(
                    "limits are kept, or not looked at",
                    format_args!(
                        "with a limit of 1 record the batch has {}, without one {}",
                        limited.len(),
                        whole.len()
                    ),
                ));
            }
            if !whole.starts_with(&limited) {
                return Err(broken("limits lose nothing", format_args!("found {limited:?} of {whole:?}")));
            }
        }
    }
    source.stop(time)
}

/// A batch as it was planned.
struct Planned<O> {
    time: Time,
    plan: Option<Vec<u8>>,
    /// What the checkpoint has of the source then.
    state: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    records: Vec<O>,
}

fn records<O>(batches: Vec<Planned<O>>) -> Vec<O> {
    batches.into_iter().flat_map(|batch| batch.records).collect()
}

struct Started<S> {
    source: S,
    context: SourceContext,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<S: Source> Started<S> {
    fn new(mut source: S) -> Result<Started<S>> {
        let config = Config::new().clock(ManualClock::new(SystemClock.now()));
        let context = SourceContext::new(config, INTERVAL);
        source.start(&context)?;
        Ok(Started { source, context, state: BTreeMap::new() })
    }

    /// Plans one batch; or, if it is known how many records have arrived, as many as it takes to have them,
    /// of which empty ones are left out.
    fn plan_arrived<O>(
        &mut self,
        time: &mut Time,
        limits: &Limits,
        arrived: Option<usize>,
    ) -> Result<Vec<Planned<O>>>
    where
        S::Block: for<'a> Block<Record<'a>: Record<Owned = O>>,
    {
        let (mut batches, mut records) = (Vec::new(), 0);
        let clock = Stopwatch::start();
        loop {
            let planned = self.plan(*time, limits)?;
            *time = *time + INTERVAL;
            records += planned.records.len();
            if arrived.is_none() || planned.plan.is_some() {
                batches.push(planned);
            }
            match arrived {
                Some(arrived) if records < arrived && clock.elapsed() < ARRIVAL_TIMEOUT => {
                    self.context.stopping.wait_timeout(LOOK);
                }
                Some(arrived) if records != arrived => {
                    let what = format_args!("{arrived} have arrived, and batches have {records} of them");
                    return Err(broken("a record that has arrived is in one batch", what));
                }
                _ => return Ok(batches),
            }
        }
    }

    fn plan<O>(&mut self, time: Time, limits: &Limits) -> Result<Planned<O>>
    where
        S::Block: for<'a> Block<Record<'a>: Record<Owned = O>>,
    {
        let plan = self.source.plan(time, limits)?;
        let plan = plan.map(|plan| rmp_serde::to_vec_named(&plan).map(|bytes| (plan, bytes))).transpose();
        let promise = "a plan is small, and can be serialised";
        let plan = plan.map_err(|error| broken(promise, error))?;
        let mut records = Vec::new();
        if let Some((plan, bytes)) = &plan {
            if bytes.len() > PLAN_BYTES {
                return Err(broken(
                    promise,
                    format_args!("that of the batch at {time} has {} bytes", bytes.len()),
                ));
            }
            records = read(self.source.blocks(time, plan)?)?;
        }
        let state = match self.source.state() {
            Some(state) => {
                let mut changes = Changes::new();
                state.changes(&mut changes);
                if changes.is_cleared() {
                    self.state.clear();
                }
                for (key, value) in changes.iter() {
                    match value {
                        Some(value) => drop(self.state.insert(key.to_vec(), value.to_vec())),
                        None => drop(self.state.remove(key)),
                    }
                }
                Some(self.state.clone())
            }
            None => None,
        };
        Ok(Planned { time, plan: plan.map(|(_, bytes)| bytes), state, records })
    }

    fn restore(&mut self, entries: &Option<BTreeMap<Vec<u8>, Vec<u8>>>) -> Result<()> {
        let (Some(entries), Some(state)) = (entries, self.source.state()) else { return Ok(()) };
        let refused = |what: String| broken("its state is read by a new instance", what);
        let fingerprint = state.fingerprint();
        Stateful::begin_restore(state, &fingerprint);
        entries.iter().try_for_each(|(key, value)| state.restore(key, value)).map_err(refused)?;
        state.finish_restore().map_err(refused)?;
        self.state.clone_from(entries);
        Ok(())
    }

    fn replay<O>(&mut self, time: Time, plan: &[u8]) -> Result<Vec<O>>
    where
        S::Block: for<'a> Block<Record<'a>: Record<Owned = O>>,
    {
        let plan = decode(plan).map_err(|what| broken("a plan can be read again", what))?;
        read(self.source.blocks(time, &plan)?)
    }

    /// On a thread of its own, which is left behind if the source does not return.
    fn stop(self, time: Time) -> Result<()> {
        let Started { mut source, context, .. } = self;
        let (done, stopped) = mpsc::channel();
        #[expect(clippy::disallowed_methods, reason = "there is no context that it could end")]
        thread::spawn(move || {
            context.stopping.cancel();
            source.stop();
            let last = source.plan(time, &Limits::none()).and_then(|plan| match plan {
                Some(plan) => source.blocks(time, &plan).map(drop),
                None => Ok(()),
            });
            // Whoever asked may have given up.
            let _ = done.send(last.map(|()| source.has_pending()));
        });
        match stopped.recv_timeout(STOP_TIMEOUT) {
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => Err(broken(
                "what a stopped source has is had by one more plan",
                "something is pending behind it, so that no graceful stop would end",
            )),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(broken("a stop returns", format_args!("it has not after {STOP_TIMEOUT:?}")))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(broken("a stop returns", "it has panicked")),
        }
    }
}

/// The records of all blocks, as a stage reads them.
fn read<B, O>(blocks: Vec<B>) -> Result<Vec<O>>
where
    B: for<'a> Block<Record<'a>: Record<Owned = O>>,
{
    let mut records = Vec::new();
    for mut block in blocks {
        block.open()?;
        records.extend(block.records().map(Record::own));
        while block.has_more() {
            block.advance()?;
            records.extend(block.records().map(Record::own));
        }
    }
    Ok(records)
}

fn same<T: PartialEq + Debug>(
    promise: &str,
    what: impl std::fmt::Display,
    found: &[T],
    expected: &[T],
) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (f, e) = (found.get(at), expected.get(at));
    Err(broken(
        promise,
        format_args!(
            "{what}: found {} records, expected {}; record {at} is {f:?}, expected {e:?}",
            found.len(),
            expected.len()
        ),
    ))
}

/// Whether the same records follow a batch, in any order: batches that are cut elsewhere mix partitions in
/// another way.
fn same_set<'a, T: PartialEq + Debug + 'a>(
    promise: &str,
    batch: usize,
    mut found: Vec<T>,
    expected: impl Iterator<Item = &'a T>,
) -> Result<()> {
    for record in expected {
        match found.iter().position(|other| other == record) {
            Some(at) => drop(found.remove(at)),
            None => return Err(broken(promise, format_args!("behind batch {batch} {record:?} is missing"))),
        }
    }
    match found.first() {
        Some(record) => Err(broken(promise, format_args!("behind batch {batch} {record:?} comes twice"))),
        None => Ok(()),
    }
}

fn broken(promise: &str, what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("the source breaks the promise \"{promise}\": {what}"))
}
