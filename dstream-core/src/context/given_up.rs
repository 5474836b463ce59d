//! What a stop gives up, in words.

use std::{collections::BTreeMap, fmt};

use crate::{Time, events::InputInfo};

/// The batches that a stop has dropped, and what they had.
#[derive(Debug)]
pub(super) struct GivenUp {
    pub(super) batches: Vec<Time>,
    /// What the sources had planned for them.
    pub(super) inputs: Vec<InputInfo>,
    /// Whether a batch had begun and is not waited for.
    pub(super) running: bool,
    /// Sources that hold something which no batch has.
    pub(super) pending: Vec<String>,
    pub(super) recoverable: Recoverable,
}

/// What a restart has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recoverable {
    /// There is no checkpoint.
    Nothing,
    /// There is a checkpoint, and receivers write no log.
    Checkpoint,
    /// There is a checkpoint, and the log of the receivers.
    Wal,
}

impl GivenUp {
    pub(super) fn is_nothing(&self) -> bool {
        self.batches.is_empty() && !self.running && self.pending.is_empty()
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut and = "";
        let mut part = |f: &mut fmt::Formatter<'_>| f.write_str(std::mem::replace(&mut and, ", "));
        if let (Some(first), Some(last)) = (self.batches.first(), self.batches.last()) {
            part(f)?;
            match self.batches.len() {
                1 => write!(f, "1 batch that has not begun ({first})")?,
                n => write!(f, "{n} batches that have not begun ({first} to {last})")?,
            }
            let mut sources = BTreeMap::<&str, (u64, u64, Option<u64>)>::new();
            for input in &self.inputs {
                let (blocks, bytes, records) = sources.entry(&input.source).or_insert((0, 0, Some(0)));
                *blocks += input.blocks;
                *bytes += input.bytes;
                *records = records.zip(input.records).map(|(all, own)| all + own);
            }
            for (source, (blocks, bytes, records)) in sources.iter().filter(|(_, (blocks, ..))| *blocks > 0) {
                match records {
                    Some(records) => write!(f, ", with {records} records of {source}")?,
                    None => write!(f, ", with {blocks} blocks of {source} (about {bytes} bytes)")?,
                }
            }
        }
        if self.running {
            part(f)?;
            f.write_str("the batch that still runs")?;
        }
        if !self.pending.is_empty() {
            part(f)?;
            write!(f, "what {} still holds", self.pending.join(" and "))?;
        }
        f.write_str(match self.recoverable {
            Recoverable::Nothing => "; it is lost, since there is no checkpoint",
            Recoverable::Checkpoint => {
                "; a restart reads it again where its source can be read again, and what receivers had is \
                 lost: their log is off (`Config::write_ahead_log`)"
            }
            Recoverable::Wal => {
                "; a restart processes it, from the receivers' log and from sources that can be read again"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(source: &str, blocks: u64, bytes: u64) -> InputInfo {
        InputInfo { source: source.into(), blocks, bytes, records: None, limit: None, details: Vec::new() }
    }

    #[test]
    fn says_how_many_batches_what_they_had_and_what_becomes_of_it() {
        let batches = vec![Time::from_millis(1_000), Time::from_millis(2_000)];
        let inputs = vec![input("a", 2, 100), input("b", 0, 0), input("a", 1, 50)];
        let mut given_up = GivenUp {
            batches,
            inputs,
            running: false,
            pending: Vec::new(),
            recoverable: Recoverable::Nothing,
        };
        let text = given_up.to_string();
        assert!(text.starts_with("2 batches that have not begun ("), "{text}");
        assert!(text.contains("), with 3 blocks of a (about 150 bytes); it is lost"), "{text}");
        given_up = GivenUp { batches: Vec::new(), running: true, recoverable: Recoverable::Wal, ..given_up };
        let text = given_up.to_string();
        assert!(text.starts_with("the batch that still runs; a restart processes it"), "{text}");
        given_up = GivenUp { running: false, pending: vec!["a".into(), "b".into()], ..given_up };
        assert!(given_up.to_string().starts_with("what a and b still holds; "), "{given_up}");
        assert!(!given_up.is_nothing());
        assert!(GivenUp { pending: Vec::new(), ..given_up }.is_nothing());
    }
}
