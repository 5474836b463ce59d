//! Going on from a checkpoint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use super::{
    CheckpointError, CheckpointStore, Checkpointer, Stateful,
    frame::Kind,
    manifest::{Manifest, Operator, Progress, Segment, object_name, parse_name},
    merge::merge,
    segment::SegmentReader,
    store::StoreLock,
    tail::{ENTRY, Tail},
    wal::LOG_PREFIX,
    writer::{Policy, RetainedCheckpoint},
};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// A checkpoint that no other process writes to, before the program goes on from it.
pub(crate) struct Session {
    store: Arc<dyn CheckpointStore>,
    lock: Arc<dyn StoreLock>,
    /// The first number that no object has.
    next: u64,
    recovered: Option<Recovered>,
}

/// What there is to go on from.
#[derive(Debug)]
pub(crate) struct Recovered {
    number: u64,
    /// As a person writes it.
    file: String,
    manifest: Manifest,
    /// Other manifests that can be read, the oldest first.
    older: Vec<(u64, Manifest)>,
    /// Newer checkpoints that are not whole, the newest first.
    skipped: Vec<SkippedCheckpoint>,
    /// Merged objects that are damaged, in place of which others are read.
    replaced: Vec<CheckpointError>,
}

/// A checkpoint that is not whole.
#[derive(Debug)]
pub(crate) struct SkippedCheckpoint {
    pub(super) number: u64,
    /// What is wrong with it, or with what it needs.
    pub(crate) error: CheckpointError,
    /// What it says itself, if that can be read.
    pub(crate) progress: Option<Progress>,
}

/// An operator of the program, and its state.
pub(crate) struct Slot<'a> {
    /// The name that its state is found by.
    pub(crate) name: &'a str,
    /// What it is: `update_state_by_key`.
    pub(crate) kind: &'a str,
    /// Where its state goes.
    pub(crate) state: &'a mut dyn Stateful,
}

/// What became of the state of the checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Operators that have their state back.
    pub(crate) continued: Vec<String>,
    /// Operators of the program that the checkpoint does not have: they start empty.
    pub(crate) new: Vec<String>,
    /// Operators whose state was let go.
    pub(crate) forgotten: Vec<String>,
    /// How many entries came back.
    pub(crate) entries: u64,
}

impl Session {
    /// Looks for the newest whole checkpoint, and reads all of it once to know that it is whole.
    ///
    /// Newer ones that are damaged are in [`Recovered::skipped`]. If there are files but no whole
    /// checkpoint, that is an error: a program starts empty only where there is nothing.
    pub(crate) fn open(store: Arc<dyn CheckpointStore>) -> Result<Session> {
        let lock = Arc::from(store.lock()?);
        let names = list(&*store)?;
        let recovered = Recovered::find(&*store, &names)?;
        if let Some(recovered) = &recovered {
            for error in &recovered.replaced {
                crate::logs::warn!("{error}: what it was merged from is read instead, so nothing is lost");
            }
        }
        let numbers = names.iter().filter_map(|name| parse_name(name)).map(|(_, number)| number);
        let next = numbers.max().map_or(0, |number| number.saturating_add(1));
        Ok(Session { store, lock, next, recovered })
    }

    /// What there is to go on from; `None` if there is nothing at all.
    pub(crate) fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Held until nothing is written any more.
    pub(crate) fn lock(&self) -> &Arc<dyn StoreLock> {
        &self.lock
    }

    /// Gives the operators their state back, and begins to write. An operator of the checkpoint that is not
    /// in the program must be in `forget`; one that is in both is forgotten, too, if it is there.
    pub(crate) fn resume(
        self,
        operators: &mut [Slot<'_>],
        forget: &[String],
        policy: Policy,
    ) -> Result<(Checkpointer, Restored)> {
        let names: BTreeSet<_> = operators.iter().map(|slot| slot.name).collect();
        if names.len() != operators.len() {
            return Err(CheckpointError::Invalid(
                "two operators with state have the same name, expected each its own".into(),
            ));
        }
        // What is little is written anew, whole, with the first commit.
        let segments = self.recovered.iter().flat_map(Recovered::segments);
        let size: u64 = segments.map(|s| s.bytes + ENTRY * s.entries).sum();
        let mut tail = (size <= policy.tail_bytes).then(Tail::default);
        let mut restored = match &self.recovered {
            Some(recovered) => recovered.restore(&*self.store, operators, forget, tail.as_mut())?,
            None => Restored::default(),
        };
        let stored = self.recovered.iter().flat_map(Recovered::operators);
        let converting: BTreeMap<_, _> = stored
            .filter(|stored| {
                operators.iter().any(|slot| slot.name == stored.name && slot.state.is_converted())
            })
            .map(|stored| (stored.name.clone(), stored.fingerprint.clone()))
            .collect();
        let described = operators.iter().map(|slot| Operator {
            name: slot.name.to_owned(),
            kind: slot.kind.to_owned(),
            fingerprint: slot.state.fingerprint(),
        });
        let described: Vec<_> = described.collect();
        restored.new =
            described.iter().map(|o| o.name.clone()).filter(|o| !restored.continued.contains(o)).collect();
        restored.new.retain(|name| !restored.forgotten.contains(name));

        let (mut segments, mut kept, mut unreadable) = (Vec::new(), Vec::new(), None);
        if let Some(recovered) = self.recovered {
            kept.extend(
                recovered.older.iter().map(|(number, manifest)| RetainedCheckpoint::new(*number, manifest)),
            );
            kept.push(RetainedCheckpoint::new(recovered.number, &recovered.manifest));
            unreadable = recovered.skipped.iter().map(|passed| passed.number).max();
            segments = recovered.manifest.segments;
        }
        let initialized = restored.continued.iter().cloned().collect();
        let start = super::writer::Start {
            next: self.next,
            operators: described,
            converting,
            initialized,
            segments,
            tail,
            kept,
            unreadable,
        };
        Ok((Checkpointer::start(self.store, self.lock, policy, start), restored))
    }
}

/// Gives the operators of a process their state back that writes no checkpoint: it follows the one which goes
/// on from the checkpoint with this number. Nothing is locked, and nothing written.
pub(crate) fn restore_only(
    store: &dyn CheckpointStore,
    number: u64,
    operators: &mut [Slot<'_>],
    forget: &[String],
) -> Result<Restored> {
    let found = Recovered::find(store, &list(store)?)?;
    match found.filter(|found| found.number == number) {
        Some(recovered) => recovered.restore(store, operators, forget, None),
        None => Err(CheckpointError::Invalid(format!(
            "process 0 goes on from `{}`, which this process does not find in `{}`: give all processes the \
             same place, on storage that all of them share",
            object_name(Kind::Checkpoint, number),
            store.describe("")
        ))),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("store", &self.store).field("recovered", &self.recovered).finish()
    }
}

impl Recovered {
    /// The number of the checkpoint.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How far the program was.
    pub(crate) fn progress(&self) -> &Progress {
        &self.manifest.progress
    }

    /// The file that says so.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The operators that have state in it.
    pub(crate) fn operators(&self) -> &[Operator] {
        &self.manifest.operators
    }

    /// Newer checkpoints that are not whole, and why.
    pub(crate) fn skipped(&self) -> &[SkippedCheckpoint] {
        &self.skipped
    }

    #[cfg(test)]
    pub(super) fn replaced(&self) -> &[CheckpointError] {
        &self.replaced
    }

    /// How many commits newer ones there were at most, of those that can be seen.
    pub(crate) fn commits_behind(&self) -> u64 {
        self.skipped.first().map_or(0, |newest| newest.number - self.number)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.manifest.segments
    }

    pub(super) fn find(store: &dyn CheckpointStore, names: &[String]) -> Result<Option<Recovered>> {
        let numbers = |wanted| {
            names.iter().filter_map(|name| parse_name(name)).filter(move |(kind, _)| *kind == wanted)
        };
        let mut checkpoints: Vec<_> = numbers(Kind::Checkpoint).map(|(_, number)| number).collect();
        checkpoints.sort_unstable();
        let mut skipped = Vec::new();
        while let Some(number) = checkpoints.pop() {
            let object = object_name(Kind::Checkpoint, number);
            match whole(store, &object) {
                Ok((manifest, replaced)) => {
                    let older = checkpoints.into_iter().filter_map(|number| {
                        Some((number, Manifest::read(store, &object_name(Kind::Checkpoint, number)).ok()?))
                    });
                    let file = store.describe(&object);
                    return Ok(Some(Recovered {
                        number,
                        file,
                        manifest,
                        older: older.collect(),
                        skipped,
                        replaced,
                    }));
                }
                Err(error @ CheckpointError::Damaged { .. }) => {
                    let progress = Manifest::read(store, &object).ok().map(|manifest| manifest.progress);
                    skipped.push(SkippedCheckpoint { number, error, progress });
                }
                // What can't be read now may be whole: to pass it over would lose what it holds.
                Err(error) => return Err(error),
            }
        }
        let mut problems: Vec<_> = skipped.iter().map(|passed| passed.error.to_string()).collect();
        // Several checkpoints often need the same file.
        problems.dedup();
        problems.extend(names.iter().filter_map(|name| match parse_name(name) {
            None => Some(format!("`{}` is no checkpoint", store.describe(name))),
            Some((Kind::Merged, _)) if skipped.is_empty() => {
                Some(format!("`{}` has no checkpoint that refers to it", store.describe(name)))
            }
            Some(_) => None,
        }));
        match problems.is_empty() {
            true => Ok(None),
            false => Err(CheckpointError::NothingWhole { place: store.describe(""), problems }),
        }
    }

    fn restore(
        &self,
        store: &dyn CheckpointStore,
        operators: &mut [Slot<'_>],
        forget: &[String],
        mut tail: Option<&mut Tail>,
    ) -> Result<Restored> {
        let stored: BTreeMap<&str, &Operator> = self.operators().iter().map(|o| (&*o.name, o)).collect();
        let mut slots: BTreeMap<&str, &mut Slot<'_>> =
            operators.iter_mut().map(|slot| (slot.name, slot)).collect();
        let (forgotten, kept): (Vec<_>, Vec<_>) =
            stored.keys().map(|name| (*name).to_owned()).partition(|name| forget.contains(name));
        let (continued, vanished): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|name| slots.contains_key(&**name));
        if !vanished.is_empty() {
            return Err(CheckpointError::Vanished { file: self.file.clone(), operators: vanished });
        }
        slots.retain(|name, _| continued.iter().any(|c| c == name));

        let unfit = |slot: &Slot<'_>, what| CheckpointError::Types {
            file: self.file.clone(),
            operator: slot.name.to_owned(),
            stored: stored.get(slot.name).map_or_else(String::new, |o| o.fingerprint.clone()),
            program: slot.state.fingerprint(),
            what,
        };
        for slot in slots.values_mut() {
            slot.state.begin_restore(stored.get(slot.name).map_or("", |stored| &stored.fingerprint));
        }
        let mut entries = 0;
        merge(store, &self.manifest.segments, |operator, key, value| {
            if let (Some(slot), Some(value)) = (slots.get_mut(operator), value) {
                entries += 1;
                slot.state.restore(key, value).map_err(|what| unfit(slot, what))?;
                if let Some(tail) = &mut tail {
                    tail.put(operator, key, Some(value), true);
                }
            }
            Ok(())
        })?;
        for slot in slots.values_mut() {
            slot.state.finish_restore().map_err(|what| unfit(slot, what))?;
        }
        Ok(Restored { continued, new: Vec::new(), forgotten, entries })
    }
}

/// The names of all objects but those of the log.
pub(super) fn list(store: &dyn CheckpointStore) -> Result<Vec<String>> {
    let mut names = store
        .list("")
        .map_err(|e| CheckpointError::io(format_args!("listing checkpoint `{}`", store.describe("")), e))?;
    names.retain(|name| !name.starts_with(LOG_PREFIX));
    names.sort_unstable();
    Ok(names)
}

/// Reads a checkpoint to the last byte of its last segment; what it says, and what is wrong with objects that
/// it can do without.
fn whole(store: &dyn CheckpointStore, object: &str) -> Result<(Manifest, Vec<CheckpointError>)> {
    let mut manifest = Manifest::read(store, object)?;
    // One that changes nothing is no segment, but has an end all the same.
    let own = manifest.segments.iter().any(|s| s.object == object);
    if !own {
        read(store, &Segment { object: object.to_owned(), ..Segment::default() })?;
    }
    let (segments, problems) = readable(store, &manifest.segments)?;
    manifest.segments = segments;
    Ok((manifest, problems))
}

/// The segments, with what a damaged one was merged from in its place; and what is wrong with those that are
/// damaged.
pub(super) fn readable(
    store: &dyn CheckpointStore,
    segments: &[Segment],
) -> Result<(Vec<Segment>, Vec<CheckpointError>)> {
    let (mut usable, mut problems) = (Vec::new(), Vec::new());
    for segment in segments {
        match read(store, segment) {
            Ok(()) => usable.push(segment.clone()),
            Err(error @ CheckpointError::Damaged { .. }) if !segment.instead.is_empty() => {
                if segment.instead.iter().any(|segment| read(store, segment).is_err()) {
                    return Err(error);
                }
                usable.extend(segment.instead.iter().cloned());
                problems.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((usable, problems))
}

/// Reads a segment to its last byte.
fn read(store: &dyn CheckpointStore, segment: &Segment) -> Result<()> {
    let mut reader = SegmentReader::open(store, segment)?;
    while reader.advance()? {}
    Ok(())
}
