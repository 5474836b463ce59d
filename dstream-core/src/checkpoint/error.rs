//! What can go wrong with a checkpoint.

use std::{fmt, io, sync::Arc};

/// What went wrong with a checkpoint. No error deletes anything.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The storage refused something.
    #[error("{what}: {error}")]
    #[non_exhaustive]
    Io {
        /// What was tried.
        what: String,
        /// The answer.
        error: Arc<io::Error>,
    },
    /// A sync has failed, so that what is on the disk is unknown, and nothing more is written.
    #[error(
        "{what}: nothing is written after a failed sync ({why}), since what is on the disk is unknown; \
         restart the program to go on from what is there"
    )]
    #[non_exhaustive]
    Unsynced {
        /// What was tried.
        what: String,
        /// Why the sync failed.
        why: String,
    },
    /// A file is not what was written.
    #[error("`{file}` {what}")]
    #[non_exhaustive]
    Damaged {
        /// The file.
        file: String,
        /// What was found and what was expected.
        what: String,
    },
    /// A file is whole, but this version can't read it.
    #[error(
        "`{file}` has format version {found}, expected {known}: go on with the dstream that wrote it, or a \
         newer one"
    )]
    #[non_exhaustive]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// What this version of dstream writes.
        known: u32,
    },
    /// There are files, but nothing to start from.
    #[error(
        "no whole checkpoint in `{place}`: {}; put back what is missing, or move it all away to start empty",
        .problems.join("; ")
    )]
    #[non_exhaustive]
    NothingWhole {
        /// The directory.
        place: String,
        /// What is wrong with each of the files.
        problems: Vec<String>,
    },
    /// Newer checkpoints are damaged, and going on from this one would not give what they had.
    #[error(
        "`{file}` is the newest checkpoint that is whole, but there is a newer one ({}). Going on from here \
         would take back {batches}: {}; their outputs run again. Put back a copy of what is damaged, or \
         allow this with `Config::accept_older_checkpoint(true)`",
        .damaged.join("; "), .losses.join("; ")
    )]
    #[non_exhaustive]
    Older {
        /// The newest whole checkpoint.
        file: String,
        /// What is wrong with newer ones.
        damaged: Vec<String>,
        /// How many batches would be taken back, and which.
        batches: String,
        /// What each source would lose, or give to other batches.
        losses: Vec<String>,
    },
    /// Two programs can't go on from the same checkpoint.
    #[error(
        "checkpoint `{place}` is in use by {owner}: stop that program first, or give this one another \
         directory"
    )]
    #[non_exhaustive]
    Busy {
        /// The directory.
        place: String,
        /// Who has it.
        owner: String,
    },
    /// This program is not the only writer of the store any more.
    #[error(
        "this program has lost the lock of checkpoint `{place}` ({why}), so that another one may write \
         there: nothing more is written; stop the other one, and start this one again"
    )]
    #[non_exhaustive]
    LockLost {
        /// The place of the checkpoint.
        place: String,
        /// What the store says.
        why: String,
    },
    /// Operators that had state are not in the program any more.
    #[error(
        "checkpoint `{file}` holds state of {}, which the program does not have: expected operators of these \
         names; bring them back, or let their state go with `forget = [{}]`{}",
        quoted(.operators, '`'), quoted(.operators, '"'), numbering(.operators)
    )]
    #[non_exhaustive]
    Vanished {
        /// The file.
        file: String,
        /// The names of the operators.
        operators: Vec<String>,
    },
    /// Receivers that have left blocks in the log are not in the program any more.
    #[error(
        "the log in `{log}` holds blocks of {} that are in no finished batch, and the program has no \
         receiver of that name: expected receivers with the same addresses as before; bring them back, or \
         let their blocks go with `forget = [{}]`",
        quoted(.receivers, '`'), quoted(.receivers, '"')
    )]
    #[non_exhaustive]
    Unclaimed {
        /// The directory.
        log: String,
        /// The names of the receivers.
        receivers: Vec<String>,
    },
    /// The state of an operator can't be read as the types it has now.
    #[error(
        "state of `{operator}` in `{file}` does not fit: found `{stored}`, expected `{program}` ({what}); \
         convert it with `migrate`, or let it go with `forget = [\"{operator}\"]`"
    )]
    #[non_exhaustive]
    Types {
        /// The file.
        file: String,
        /// The name of the operator.
        operator: String,
        /// The types of the checkpoint.
        stored: String,
        /// The types of the program.
        program: String,
        /// Where they part.
        what: String,
    },
    /// The call does not fit the checkpoint.
    #[error("{0}")]
    Invalid(String),
    /// A key or value can't be written.
    #[error("state of `{operator}` can't be written: {what}")]
    #[non_exhaustive]
    Unwritable {
        /// The name of the operator.
        operator: String,
        /// What its `Serialize` says.
        what: String,
    },
}

/// An older dstream numbered operators of one name in the order in which they were added, which the program's
/// text does not fix.
fn numbering(operators: &[String]) -> String {
    let numbered = operators.iter().find_map(|name| {
        let (base, number) = name.rsplit_once('#')?;
        number.parse::<u32>().is_ok().then_some((base, name))
    });
    match numbered {
        Some((base, name)) => format!(
            ". An older dstream numbered operators of one name in the order of the calls, so `{base}` may be \
             the state of either now: if the order has not changed, keep `{name}` by writing \
             `.named(\"{name}\")` behind its operator; otherwise let both go, `forget = \
             [\"{base}\", \"{name}\"]`"
        ),
        None => String::new(),
    }
}

fn quoted(names: &[String], quote: char) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{quote}{name}{quote}")).collect();
    names.join(", ")
}

impl CheckpointError {
    /// Whether the error is transient, such as a full disk: a retry may succeed, and nothing was lost.
    pub(crate) fn is_transient(&self) -> bool {
        // An object that exists already was written by another program, which does not expect this one.
        matches!(self, CheckpointError::Io { error, .. } if error.kind() != io::ErrorKind::AlreadyExists)
    }

    /// What the storage has refused, and may take later. `what` says what was tried: ``writing
    /// `s3://bucket/checkpoint-17` ``.
    pub fn io(what: impl fmt::Display, error: io::Error) -> CheckpointError {
        CheckpointError::Io { what: what.to_string(), error: Arc::new(error) }
    }

    /// What [`CheckpointStore::lock`](super::CheckpointStore::lock) returns while another program has the
    /// store at `place`; `owner` says which one.
    pub fn busy(place: impl fmt::Display, owner: impl fmt::Display) -> CheckpointError {
        CheckpointError::Busy { place: place.to_string(), owner: owner.to_string() }
    }

    pub(crate) fn damaged(file: impl Into<String>, what: impl fmt::Display) -> CheckpointError {
        CheckpointError::Damaged { file: file.into(), what: what.to_string() }
    }
}
