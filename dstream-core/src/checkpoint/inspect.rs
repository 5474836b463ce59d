//! Says what is in a checkpoint.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use super::{
    CheckpointError, CheckpointStore, LocalDir,
    frame::Kind,
    manifest::{Manifest, Progress, object_name, parse_name},
    merge::merge,
    recovery::{Recovered, list},
};

/// Writes what is in the checkpoint in the directory `dir`, for people: its files, and of the newest whole
/// one the operators with their types, entries and sizes, the batches that are pending, and the positions of
/// sources. Changes nothing.
///
/// A damaged file is named in what is written; if no checkpoint is whole, that is an error.
pub fn inspect_checkpoint(dir: &Path, out: &mut dyn Write) -> Result<(), CheckpointError> {
    let store = LocalDir::new(dir);
    let names = list(&store)?;
    let failed = |e| CheckpointError::io("writing what is in the checkpoint", e);
    let mut numbers: Vec<_> = names.iter().filter_map(|name| parse_name(name)).collect();
    numbers.retain(|(kind, _)| *kind == Kind::Checkpoint);
    numbers.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    for (kind, number) in numbers {
        let name = object_name(kind, number);
        match Manifest::read(&store, &name) {
            Ok(Manifest { progress, segments, writer, .. }) => {
                let (batch, application) = (progress.batch_time, progress.application);
                let (pending, segments) = (progress.pending.len(), segments.len());
                writeln!(
                    out,
                    "{name}  batch {batch}  {pending} pending  {segments} \
                     segments  `{application}` by {writer}"
                )
            }
            Err(error) => writeln!(out, "{name}  {error}"),
        }
        .map_err(failed)?;
    }
    let Some(recovered) = Recovered::find(&store, &names)? else {
        return writeln!(out, "no checkpoint in `{}`", store.describe("")).map_err(failed);
    };
    for passed in recovered.skipped() {
        writeln!(out, "passed over: {}", passed.error).map_err(failed)?;
    }
    writeln!(out, "\nthe program goes on from `{}`", recovered.file()).map_err(failed)?;
    write_progress(recovered.progress(), out).map_err(failed)?;

    let mut sizes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    merge(&store, recovered.segments(), |operator, key, value| {
        if let Some(value) = value {
            if !sizes.contains_key(operator) {
                sizes.insert(operator.to_owned(), (0, 0));
            }
            if let Some((entries, bytes)) = sizes.get_mut(operator) {
                *entries += 1;
                *bytes += (key.len() + value.len()) as u64;
            }
        }
        Ok(())
    })?;
    for operator in recovered.operators() {
        let (entries, bytes) = sizes.get(&operator.name).copied().unwrap_or_default();
        let (name, kind, types) = (&operator.name, &operator.kind, &operator.fingerprint);
        writeln!(out, "operator `{name}` ({kind}) of {types}: {entries} entries, {bytes} bytes")
            .map_err(failed)?;
    }
    for segment in recovered.segments() {
        let (object, entries, bytes) = (&segment.object, segment.entries, segment.bytes);
        writeln!(out, "segment {object}: {entries} entries, {bytes} bytes").map_err(failed)?;
    }
    Ok(())
}

fn write_progress(progress: &Progress, out: &mut dyn Write) -> io::Result<()> {
    let Progress { application, zero_time, interval, batch_time, pending, sources, wal, hash_seed } =
        progress;
    writeln!(out, "application `{application}`, last batch {batch_time}")?;
    writeln!(out, "zero time {zero_time}, batch interval {interval:?}, hash seed {hash_seed}")?;
    for batch in pending {
        writeln!(out, "pending batch {}: outputs to run: {}", batch.time, batch.outputs.join(", "))?;
        if let Some(done) = batch.done.as_ref().filter(|done| !done.is_empty()) {
            writeln!(out, "pending batch {}: outputs that have run: {}", batch.time, done.join(", "))?;
        }
    }
    for (what, positions) in [("source", sources), ("log of", wal)] {
        for (name, position) in positions {
            writeln!(out, "{what} `{name}` at {}", position.escape_ascii())?;
        }
    }
    Ok(())
}
