//! A source within a context: its batches are planned at their times, and taken when they run.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Block, Limits, Source, SourceContext};
use crate::{
    Bytes, Error, Result, Time,
    backpressure::BYTES_OF_A_RECORD,
    checkpoint::{Changes, Stateful, decode, encode},
    events::{Bus, InputInfo},
    exchange::Role,
    panics::panic_text,
    sync::Unpoisoned,
};

/// A source that belongs to a context, and the blocks planned for batches that have not run yet.
///
/// Planning happens when the clock reaches a batch's time, running when the batches before it are done, so
/// that a late batch still holds exactly what had arrived by its own time. A batch that runs never waits for
/// a source that plans: what is planned has a lock of its own.
pub struct Input<S: Source> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Source> {
    name: String,
    /// What events and the plan call it, which no other source of the context is called.
    label: OnceLock<String>,
    source: Mutex<S>,
    planned: Mutex<VecDeque<Planned<S::Block>>>,
    /// Whether a checkpoint needs to know what a batch has taken.
    checkpointed: AtomicBool,
    /// Which part of each batch this process has, from the start on, if it is divided.
    part: OnceLock<Role>,
    /// The listeners, from the start on.
    events: OnceLock<Bus>,
}

/// The planned blocks of a batch that has not run yet.
struct Planned<B> {
    time: Time,
    blocks: Result<Vec<B>>,
    /// About how many records they have, and how many they might have had.
    records: u64,
    limit: Option<u64>,
    /// What the plan says, if somebody listens.
    details: Vec<String>,
    progress: SourceProgress,
    /// The plan, for the other processes, if they have a part of it.
    divided: Option<Bytes>,
}

/// The progress of a source in a batch, for a checkpoint.
#[derive(Default)]
pub(crate) struct SourceProgress {
    /// What belongs to the batch, if that means something after a restart.
    pub(crate) plan: Option<Bytes>,
    /// What has changed in the source's state, if it has one.
    pub(crate) changes: Option<Changes>,
}

impl<S: Source> fmt::Debug for Input<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl<S: Source> Clone for Input<S> {
    fn clone(&self) -> Self {
        Input { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Source> Input<S> {
    pub(crate) fn new(source: S) -> Self {
        Input {
            shared: Arc::new(Shared {
                name: source.name(),
                label: OnceLock::new(),
                source: Mutex::new(source),
                planned: Mutex::default(),
                checkpointed: AtomicBool::new(false),
                part: OnceLock::new(),
                events: OnceLock::new(),
            }),
        }
    }

    /// The blocks planned for `time`; none if it was never planned.
    pub(crate) fn take(&self, time: Time) -> Result<Vec<S::Block>> {
        let mut planned = self.queue();
        let at = planned.iter().position(|planned| planned.time == time);
        at.and_then(|at| planned.remove(at)).map_or(Ok(Vec::new()), |planned| planned.blocks)
    }

    /// Plans a batch with `plan`, and makes its blocks.
    fn add(&self, time: Time, limit: Option<u64>, plan: impl FnOnce(&mut S) -> Result<Option<S::Plan>>) {
        let mut progress = SourceProgress::default();
        let (mut details, mut divided) = (Vec::new(), None);
        let mut source = self.source();
        let blocks = self.guard(|| {
            let Some(plan) = plan(&mut source)? else { return Ok(Vec::new()) };
            if self.is_checkpointed() && source.can_replay() {
                progress.plan = Some(self.encode(&plan)?);
            }
            if let Some(Role::Leader { .. }) = self.shared.part.get() {
                divided = Some(progress.plan.clone().map_or_else(|| self.encode(&plan), Ok)?);
            }
            if self.shared.events.get().is_some_and(Bus::is_listened) {
                details = shorten(source.details(&plan));
            }
            source.blocks(time, &plan)
        });
        if self.is_checkpointed() {
            let changes = self.guard(|| {
                Ok(source.state().map(|state| {
                    let mut changes = Changes::default();
                    state.changes(&mut changes);
                    changes
                }))
            });
            progress.changes = changes.unwrap_or_default();
        }
        drop(source);
        let records = blocks.as_deref().unwrap_or_default().iter().map(records_of).sum();
        let blocks = match self.shared.part.get() {
            Some(role) => blocks.map(|blocks| part_of(blocks, *role)),
            None => blocks,
        };
        self.queue().push_back(Planned { time, blocks, records, limit, details, progress, divided });
    }

    fn encode(&self, plan: &S::Plan) -> Result<Bytes> {
        encode(plan).map(Bytes::from).map_err(|error| {
            Error::source(
                &self.shared.name,
                format_args!("its plan can't be written to the checkpoint: {error}"),
            )
        })
    }

    /// Catches panics: a source is user code, and its panic must fail one batch, not the thread.
    fn guard<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            Err(Error::source(&self.shared.name, format_args!("panicked: {text}")))
        })
    }

    fn is_checkpointed(&self) -> bool {
        self.shared.checkpointed.load(Ordering::Relaxed)
    }

    fn source(&self) -> MutexGuard<'_, S> {
        // A panic inside a source is reported where it happened; what it left behind is still the source.
        self.shared.source.lock().unpoisoned()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Planned<S::Block>>> {
        self.shared.planned.lock().unpoisoned()
    }
}

/// The first lines of what a plan says: listeners keep many batches.
fn shorten(mut details: Vec<String>) -> Vec<String> {
    const LINES: usize = 20;
    if let Some(more) = details.len().checked_sub(LINES).filter(|more| *more > 0) {
        details.truncate(LINES);
        details.push(format!("and {more} more"));
    }
    details
}

/// About how many records a block has, or how many its bytes count as if it does not know.
pub(crate) fn records_of(block: &impl Block) -> u64 {
    block.record_estimate().unwrap_or_else(|| (block.weight() as u64).div_ceil(BYTES_OF_A_RECORD))
}

/// The blocks of a batch that this process has: those of process 0 are first, and each has about as much.
fn part_of<B: Block>(blocks: Vec<B>, role: Role) -> Vec<B> {
    let (process, processes) = role.place();
    let total: u128 = blocks.iter().map(|block| block.weight() as u128).sum();
    let mut before = 0;
    let mut is_own = |block: &B| {
        let middle = 2 * before + block.weight() as u128;
        before += block.weight() as u128;
        let owner = middle * processes as u128 / (2 * total).max(1);
        owner.min(processes as u128 - 1) == process as u128
    };
    blocks.into_iter().filter(|block| is_own(block)).collect()
}

/// The part of an [`Input`] that is independent of the type of its records.
///
/// All but `name`, `label`, `planned`, `planned_records`, `is_planned` and `progress` wait for the source.
pub(crate) trait AnyInput: Send + Sync {
    fn name(&self) -> &str;
    /// What events call it: its name in the plan.
    fn label(&self) -> &str;
    /// Says, once, what events call it.
    fn set_label(&self, label: String);
    fn start(&self, context: &SourceContext) -> Result<()>;
    /// Decides what belongs to the batch at `time`.
    fn plan(&self, time: Time, limits: &Limits);
    /// What is planned for the batch at `time` and has not been taken.
    fn planned(&self, time: Time) -> Option<InputInfo>;
    /// About how many records these have.
    fn planned_records(&self, time: Time) -> u64;
    /// Plans a batch that had begun before a restart: what it had then, nothing without a plan.
    fn replay(&self, time: Time, plan: Option<&[u8]>) -> Result<()>;
    /// In process 0, once, the plan of a batch of which the other processes have a part.
    fn divided(&self, time: Time) -> Option<Bytes>;
    fn is_planned(&self, time: Time) -> bool;
    /// Whether the checkpoint of a batch can say what the source gave to it.
    fn can_replay(&self) -> bool;
    /// What a checkpoint must know of the batch at `time`, which is planned; once.
    fn progress(&self, time: Time) -> SourceProgress;
    /// From now on a checkpoint is told of each batch.
    fn checkpointed(&self) -> Box<dyn StateGuard + '_>;
    fn committed(&self, time: Time);
    /// Whether a checkpoint holds anything of it.
    fn keeps(&self) -> bool;
    fn has_pending(&self) -> bool;
    fn is_exhausted(&self) -> Option<bool>;
    fn stop(&self);
}

/// A source that is locked while its state comes back.
pub(crate) trait StateGuard {
    fn state(&mut self) -> Option<&mut dyn Stateful>;
}

impl<S: Source> StateGuard for MutexGuard<'_, S> {
    fn state(&mut self) -> Option<&mut dyn Stateful> {
        S::state(self)
    }
}

impl<S: Source> AnyInput for Input<S> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn label(&self) -> &str {
        self.shared.label.get().unwrap_or(&self.shared.name)
    }

    fn set_label(&self, label: String) {
        self.shared.label.get_or_init(|| label);
    }

    fn start(&self, context: &SourceContext) -> Result<()> {
        self.shared.events.get_or_init(|| context.config.events.clone());
        match (context.role, self.guard(|| Ok(self.source().can_divide()))?) {
            (Role::Alone, _) | (Role::Leader { .. }, false) => {}
            (Role::Follower { .. }, false) => return Ok(()),
            (role, true) => drop(self.shared.part.set(role)),
        }
        self.guard(|| self.source().start(context))
    }

    fn plan(&self, time: Time, limits: &Limits) {
        self.add(time, limits.records, |source| source.plan(time, limits));
    }

    fn planned(&self, time: Time) -> Option<InputInfo> {
        let queue = self.queue();
        let planned = queue.iter().find(|planned| planned.time == time)?;
        let blocks = planned.blocks.as_deref().unwrap_or_default();
        Some(InputInfo {
            source: self.label().to_owned(),
            blocks: blocks.len() as u64,
            bytes: blocks.iter().map(|block| block.weight() as u64).sum(),
            records: None,
            limit: planned.limit,
            details: planned.details.clone(),
        })
    }

    fn planned_records(&self, time: Time) -> u64 {
        self.queue().iter().find(|planned| planned.time == time).map_or(0, |planned| planned.records)
    }

    fn replay(&self, time: Time, plan: Option<&[u8]>) -> Result<()> {
        let plan = plan.map(decode).transpose().map_err(|what| {
            Error::source(
                &self.shared.name,
                format_args!(
                    "the batch at {time} had begun before the restart, and what it has of this source can't \
                     be read: {what}. Run the program that wrote the checkpoint until that batch is done (a \
                     field that is added to a plan needs `#[serde(default)]`), or let this part of the batch \
                     go with `forget = [\"{}\"]`",
                    self.shared.name
                ),
            )
        })?;
        self.add(time, None, |_| Ok(plan));
        // The checkpoint knows already.
        drop(self.progress(time));
        Ok(())
    }

    fn divided(&self, time: Time) -> Option<Bytes> {
        self.queue().iter_mut().find(|planned| planned.time == time)?.divided.take()
    }

    fn can_replay(&self) -> bool {
        self.source().can_replay()
    }

    fn is_planned(&self, time: Time) -> bool {
        self.queue().iter().any(|planned| planned.time == time)
    }

    fn progress(&self, time: Time) -> SourceProgress {
        let mut all = self.queue();
        let planned = all.iter_mut().find(|planned| planned.time == time);
        planned.map(|planned| std::mem::take(&mut planned.progress)).unwrap_or_default()
    }

    fn checkpointed(&self) -> Box<dyn StateGuard + '_> {
        self.shared.checkpointed.store(true, Ordering::Relaxed);
        Box::new(self.source())
    }

    fn committed(&self, time: Time) {
        let told = self.guard(|| {
            self.source().committed(time);
            Ok(())
        });
        if let Err(error) = told {
            crate::logs::warn!("{error}: it was told that the batch at {time} is done");
        }
    }

    fn keeps(&self) -> bool {
        self.guard(|| {
            let mut source = self.source();
            Ok(source.can_replay() || source.state().is_some())
        })
        .unwrap_or(true)
    }

    fn has_pending(&self) -> bool {
        self.guard(|| Ok(self.source().has_pending())).unwrap_or(false)
    }

    fn is_exhausted(&self) -> Option<bool> {
        self.source().is_exhausted()
    }

    fn stop(&self) {
        let stopped = self.guard(|| {
            self.source().stop();
            Ok(())
        });
        if let Err(error) = stopped {
            crate::logs::warn!("{error}: it was told to stop");
        }
    }
}
