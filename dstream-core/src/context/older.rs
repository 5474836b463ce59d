//! What going on from a checkpoint that is not the newest would give up, and whether that is allowed.

use std::fmt::Display;

use super::{checkpoints::sources, inner::ContextInner};
use crate::{
    Result, Time,
    checkpoint::{CheckpointError, Progress, ReceiverOffset, Recovered, Storage, log_reaches},
};

/// Where newer checkpoints are damaged: nothing is said if running the batch that had begun once more gives
/// all that they had, over the same records. Else that is an error, unless `Config::accept_older_checkpoint`
/// allows it; then `true`: records of receivers may be missing.
pub(super) fn check_older(inner: &ContextInner, storage: &Storage, recovered: &Recovered) -> Result<bool> {
    let [newest, ..] = recovered.skipped() else { return Ok(false) };
    let (ours, interval) = (recovered.progress(), inner.interval);
    let mut damaged: Vec<_> = recovered.skipped().iter().map(|p| p.error.to_string()).collect();
    damaged.dedup();
    let begun = ours.pending.first();
    let same_batch = begun.is_some_and(|begun| match &newest.progress {
        Some(newest) => newest.batch_time.max(last(newest)) <= begun.time,
        // Each output of it that was left is struck off in a commit of its own, the last one by the end of
        // the batch.
        None => recovered.commits_behind() <= begun.outputs.len() as u64,
    });
    let losses = losses(inner, storage, recovered, same_batch)?;
    if let (true, [], Some(begun)) = (same_batch, &losses[..], begun) {
        crate::logs::warn!(
            "{}: the batch at {} runs again from `{}`, over the same records",
            damaged.join("; "),
            begun.time,
            recovered.file()
        );
        return Ok(false);
    }
    let after = begun.map_or(ours.batch_time, |begun| begun.time - interval);
    let batches = match &newest.progress {
        Some(newest) => {
            let until = newest.batch_time.max(last(newest));
            let count = until.since(after).as_millis() / interval.as_millis().max(1);
            batches(count, format_args!("after {after} until {until}"))
        }
        // A batch is written down at least twice.
        None => batches(
            u128::from(recovered.commits_behind() / 2 + 1),
            format_args!("after {after}, or fewer: how far the damaged one was can't be read"),
        ),
    };
    let error = CheckpointError::Older { file: recovered.file().to_owned(), damaged, batches, losses };
    if inner.config.accept_older_checkpoint {
        crate::logs::error!("`accept_older_checkpoint` is set, so that this is done: {error}");
        return Ok(true);
    }
    Err(error.into())
}

fn batches(count: u128, which: impl Display) -> String {
    format!("{count} batch{} ({which})", if count == 1 { "" } else { "es" })
}

/// The last batch that was planned, if any.
fn last(progress: &Progress) -> Time {
    progress.pending.last().map_or(progress.batch_time, |batch| batch.time)
}

/// What becomes of the records of each source, if not all of them come again in the batch that they were in.
fn losses(
    inner: &ContextInner,
    storage: &Storage,
    recovered: &Recovered,
    same_batch: bool,
) -> Result<Vec<String>, CheckpointError> {
    let ours = recovered.progress();
    let sources = sources(&inner.lock());
    let mut losses = Vec::new();
    for (name, input) in &sources {
        let in_plan = ours.pending.first().is_some_and(|batch| batch.inputs.contains_key(name));
        let listed = recovered.operators().iter().any(|o| o.kind == "source" && o.name == *name);
        let logged = ours.wal.get(name).and_then(|bytes| ReceiverOffset::from_bytes(bytes));
        let in_log = match logged.filter(|_| in_plan || inner.config.write_ahead_log) {
            Some(receiver_offsets) => log_reaches(&*storage.store, receiver_offsets.position)?,
            None => false,
        };
        let in_batch = if logged.is_some() { in_log } else { input.can_replay() };
        if same_batch && in_batch {
            continue;
        }
        losses.push(if listed || in_log {
            format!("`{name}` gives its records again, but in later batches")
        } else if logged.is_some() {
            format!(
                "`{name}` loses what it had received for them, of which its log does not have all any more"
            )
        } else {
            format!("`{name}` loses what it gave to them, since it can't give it again")
        });
    }
    Ok(losses)
}
