//! How large values are that are kept, about, and single values in bytes for whoever looks at them.

use std::io;

use serde::Serialize;

use crate::Time;

/// Of how many values the size is looked at.
const SAMPLE: usize = 32;

/// How many bytes a sample has at most: listeners are told after each batch.
const SAMPLE_BYTES: usize = 64 << 10;

/// How large a value may be that is shown to somebody: batches wait while it is written.
const SHOWN_BYTES: usize = 256 << 10;

/// What an operator keeps of one key, as of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptBytes {
    /// The newest batch that the operator has taken in.
    pub batch: Time,
    /// The batch in which records last came for the key, or in which its value has changed.
    pub changed: Option<Time>,
    /// The value as MessagePack with the names of fields; `None` if there is none.
    pub value: Option<Vec<u8>>,
}

/// About how many bytes `count` values have outside of the `inline` bytes that each has in a table: what
/// those of a sample are larger when they are written down.
pub(crate) fn outside_bytes(count: usize, inline: usize, sample: impl Iterator<Item: Serialize>) -> u64 {
    let (mut values, mut outside, mut room) = (0u64, 0u64, SAMPLE_BYTES);
    for value in sample.take(SAMPLE) {
        let mut written = Limited { bytes: Vec::new(), len: 0, room, keeps: false };
        let fits = rmp_serde::encode::write(&mut written, &value).is_ok();
        values += 1;
        outside += written.len.saturating_sub(inline) as u64;
        room -= written.len.min(room);
        if !fits {
            break;
        }
    }
    (count as u64).saturating_mul(outside).checked_div(values).unwrap_or(0)
}

/// Up to [`SAMPLE`] indices below `len`, evenly spaced.
pub(crate) fn spaced(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(SAMPLE).max(1))
}

/// A value as somebody is shown it.
pub(crate) fn shown(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut written = Limited { bytes: Vec::new(), len: 0, room: SHOWN_BYTES, keeps: true };
    match rmp_serde::encode::write_named(&mut written, value) {
        Ok(()) => Ok(written.bytes),
        Err(_) if written.len >= SHOWN_BYTES => {
            Err(format!("its value is larger than {} KiB, which is too large to be shown", SHOWN_BYTES >> 10))
        }
        Err(error) => Err(format!("its value can't be written: {error}")),
    }
}

/// Counts the bytes that are written, and keeps them if it should, up to a limit.
struct Limited {
    bytes: Vec<u8>,
    len: usize,
    room: usize,
    keeps: bool,
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room - self.len {
            self.len = self.room;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.len += bytes.len();
        if self.keeps {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_of_a_table_is_estimated_from_a_sample() {
        let vectors = vec![vec![1u8; 100]; 1_000];
        let found = outside_bytes(1_000, 24, vectors.iter());
        assert!((76_000..90_000).contains(&found), "{found}");
        assert_eq!(outside_bytes(1_000, 8, std::iter::repeat(7u64)), 0);
        assert_eq!(outside_bytes(0, 8, std::iter::empty::<u64>()), 0);
        // Of a huge one, only the begin is written.
        let huge = vec![vec![1u64; 1 << 20]; 3];
        assert_eq!(outside_bytes(3, 24, huge.iter()), 3 * (SAMPLE_BYTES as u64 - 24));
        assert_eq!(spaced(1_000).count(), 32);
        assert_eq!(spaced(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(spaced(0).count(), 0);
    }

    #[test]
    fn a_huge_value_is_not_shown() {
        assert_eq!(shown(&5u8), Ok(vec![5]));
        assert!(shown(&vec![1u64; 1 << 20]).unwrap_err().contains("larger than 256 KiB"));
    }
}
