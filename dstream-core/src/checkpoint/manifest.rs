//! What a checkpoint says of the program that wrote it.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    CheckpointError, CheckpointStore,
    frame::{FrameReader, Kind, ReadError},
};
use crate::Time;

/// How far a program is: all that it needs to go on, but for the state of its operators.
///
/// Fields may be added in later versions: what a file lacks has its default, and what is not known is passed
/// over.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// The name of the application.
    pub(crate) application: String,
    /// The first batch time minus one interval; windows align to it.
    pub(crate) zero_time: Time,
    /// The batch interval.
    pub(crate) interval: Duration,
    /// The time of the last batch whose changes are in the state.
    pub(crate) batch_time: Time,
    /// Batches that are planned but not done, in order.
    pub(crate) pending: Vec<PendingBatch>,
    /// Where each source goes on, by its name; only the source reads it.
    pub(crate) sources: BTreeMap<String, Bytes>,
    /// Up to where the write-ahead log of each receiver is used up; only the log reads it.
    pub(crate) wal: BTreeMap<String, Bytes>,
    /// The seed of the hash that places keys.
    pub(crate) hash_seed: u64,
}

/// A batch that is planned but not done.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PendingBatch {
    /// Its time.
    pub(crate) time: Time,
    /// The names of the outputs that have not run to their end.
    pub(crate) outputs: Vec<String>,
    /// The names of those that have. `None` in version 1, where outputs had no names but positions.
    pub(crate) done: Option<Vec<String>>,
    /// What each source gives to this batch, by its name; only the source reads it.
    pub(crate) inputs: BTreeMap<String, Bytes>,
}

/// An operator that has state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Operator {
    /// Its name in the pipeline; the key by which its state is found again.
    pub(crate) name: String,
    /// What it is: `update_state_by_key`.
    pub(crate) kind: String,
    /// The types that it keeps, for people.
    pub(crate) fingerprint: String,
}

/// A part of the state: changes, to be applied in the order of the manifest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Segment {
    /// The object that holds it.
    pub(crate) object: String,
    /// How many entries there are.
    pub(crate) entries: u64,
    /// How many bytes their keys and values have.
    pub(crate) bytes: u64,
    /// The operators of which nothing counts that is in earlier segments.
    pub(crate) fresh: Vec<String>,
    /// Of a merged object, what it was merged from, as long as that is stored too: read in its place if it is
    /// damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) instead: Vec<Segment>,
}

/// The beginning of a checkpoint.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Manifest {
    /// What wrote it: `dstream 0.1.0`.
    pub(crate) writer: String,
    /// How far the program is.
    pub(crate) progress: Progress,
    /// The operators that have state.
    pub(crate) operators: Vec<Operator>,
    /// What the state is made of, the oldest first.
    pub(crate) segments: Vec<Segment>,
}

/// Begins the payload of each frame and says what it is.
pub(super) mod tag {
    pub(in super::super) const MANIFEST: u8 = b'M';
    pub(in super::super) const OPERATOR: u8 = b'O';
    pub(in super::super) const ENTRIES: u8 = b'N';
    pub(in super::super) const END: u8 = b'E';
}

/// The number of an object, and what it is; `None` if the name is no object's.
pub(super) fn parse_name(name: &str) -> Option<(Kind, u64)> {
    let (kind, number) = name.split_once('-')?;
    let kind = match kind {
        "checkpoint" => Kind::Checkpoint,
        "merged" => Kind::Merged,
        _ => return None,
    };
    let number = number.parse().ok()?;
    (object_name(kind, number) == name).then_some((kind, number))
}

/// The name of an object. Numbers are never used twice and never go back.
pub(super) fn object_name(kind: Kind, number: u64) -> String {
    let kind = if kind == Kind::Merged { "merged" } else { "checkpoint" };
    format!("{kind}-{number:020}")
}

impl Manifest {
    /// Reads the manifest of a checkpoint, and only that.
    pub(super) fn read(store: &dyn CheckpointStore, object: &str) -> Result<Manifest, CheckpointError> {
        let read = || -> Result<Manifest, ReadError> {
            let mut frames = FrameReader::new(store.get(object)?, Kind::Checkpoint, object)?;
            let (at, mut payload) = (frames.offset(), Vec::new());
            if !frames.next(&mut payload)? {
                return Err(ReadError::Truncated(at));
            }
            let [tag::MANIFEST, manifest @ ..] = &payload[..] else {
                return Err(ReadError::at(at, "expected a manifest"));
            };
            super::decode(manifest)
                .map_err(|what| ReadError::at(at, format_args!("expected a manifest: {what}")))
        };
        read().map_err(|error| error.in_file(store.describe(object)))
    }
}
