//! The conformance test of sources.

use std::{collections::BTreeMap, fmt::Debug, sync::mpsc, thread, time::Duration};

use crate::{
    Block, Changes, Clock, Config, Error, Limits, ManualClock, Record, Result, Source, SourceContext,
    Stateful, SystemClock, Time, decode,
};

/// How many batches there are, and how far they are apart.
const BATCHES: usize = 4;
const INTERVAL: Duration = Duration::from_secs(1);
/// The largest plan, which a checkpoint writes in each batch.
const PLAN_BYTES: usize = 64 << 10;
/// How long a stop may take: a receiver's is waited for ten seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Checks that a [`Source`] keeps the promises of its contract: for tests of those who write one.
///
/// `open` makes the source, as each start of a program does; all of these read from the same place. `arrive`
/// is called before each batch, with its number from 0, and lets some records arrive there. Batches are an
/// hour after the machine's time, so that nothing that is written meanwhile is too young. `Err` says which
/// promise was broken, and how:
///
/// * a plan is small, and is the same when it has been written and read;
/// * its blocks have the same records in a new instance that has the state of then;
/// * such an instance goes on behind that batch: it leaves nothing out, and has nothing twice;
/// * limits are kept, or not looked at, and lose nothing;
/// * a stop returns, also while nothing arrives; what a stopped source still has is had by one more plan.
///
/// ```
/// use dstream::{rate_stream, testing::check_source};
///
/// check_source(|| rate_stream(100), |_batch| {})?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn check_source<S, O>(mut open: impl FnMut() -> S, mut arrive: impl FnMut(usize)) -> Result<()>
where
    S: Source<Block: for<'a> Block<Record<'a>: Record<Owned = O>>>,
    O: PartialEq + Debug,
{
    let first = (SystemClock.now() + Duration::from_secs(3_600)).next_multiple_of(INTERVAL);
    let time = |batch: usize| first + INTERVAL * u32::try_from(batch).unwrap_or(u32::MAX);
    let mut source = Started::new(open())?;
    let mut batches: Vec<Planned<O>> = Vec::new();
    for batch in 0..BATCHES {
        arrive(batch);
        let planned = source.plan(time(batch), &Limits::none())?;
        batches.push(planned);
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
            let mut fresh = restarted(at)?;
            let records = fresh.replay(time(at), plan)?;
            let what = format_args!("batch {at} in a new instance");
            same("the same plan gives the same records", what, &records, &batch.records)?;
        }
    }
    if keeps_state {
        for at in 0..BATCHES - 1 {
            let mut fresh = restarted(at)?;
            let mut rest = Vec::new();
            for later in at + 1..BATCHES {
                rest.extend(fresh.plan(time(later), &Limits::none())?.records);
            }
            let expected = batches[at + 1..].iter().flat_map(|batch| &batch.records);
            same_set("a new instance goes on where the state is", at, rest, expected)?;
        }
        let mut fresh = restarted(0)?;
        let limited = fresh.plan(time(1), &Limits::records(1))?.records;
        let whole = restarted(0)?.plan(time(1), &Limits::none())?.records;
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
    source.stop(time(BATCHES))
}

/// A batch as it was planned.
struct Planned<O> {
    plan: Option<Vec<u8>>,
    /// What the checkpoint has of the source then.
    state: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    records: Vec<O>,
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
        Ok(Planned { plan: plan.map(|(_, bytes)| bytes), state, records })
    }

    fn restore(&mut self, entries: &Option<BTreeMap<Vec<u8>, Vec<u8>>>) -> Result<()> {
        let (Some(entries), Some(state)) = (entries, self.source.state()) else { return Ok(()) };
        let refused = |what: String| broken("its state is read by a new instance", what);
        let fingerprint = state.fingerprint();
        Stateful::found(state, &fingerprint);
        entries.iter().try_for_each(|(key, value)| state.restore(key, value)).map_err(refused)?;
        state.restored().map_err(refused)?;
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
            context.stopping.set();
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
