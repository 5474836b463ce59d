//! Messages that are stored together, in the one form that the stage reads and the log keeps.

use std::fmt;

use dstream_core::{Bytes, receiver::WalBlock, source::Block};

use crate::message::MqttMessage;

/// The form of what the log has, in its first byte.
const VERSION: u8 = 1;

/// Messages that have arrived together.
///
/// A byte with the version, then each message: a byte of flags, the length of its topic, that, the length of
/// its payload, and that. Lengths have four bytes.
#[derive(Clone)]
pub struct MqttBlock {
    bytes: Bytes,
    messages: u64,
}

impl fmt::Debug for MqttBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttBlock").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl Block for MqttBlock {
    type Record<'a> = MqttMessage<'a>;

    fn records(&mut self) -> impl Iterator<Item = MqttMessage<'_>> {
        messages(&self.bytes)
    }

    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn record_count(&self) -> Option<u64> {
        Some(self.messages)
    }
}

impl WalBlock for MqttBlock {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        Ok(Some(self.bytes.clone()))
    }

    fn from_log(bytes: Bytes) -> Result<MqttBlock, String> {
        if bytes.first() != Some(&VERSION) {
            let found = bytes.first();
            return Err(format!(
                "messages begin with {found:?}, expected {VERSION}: another version wrote them"
            ));
        }
        let read = messages(&bytes);
        let size = read.clone().map(|message| 9 + message.topic.len() + message.payload.len()).sum::<usize>();
        if size + 1 != bytes.len() {
            return Err(format!("{size} bytes of {} are messages", bytes.len() - 1));
        }
        let messages = read.count() as u64;
        Ok(MqttBlock { bytes, messages })
    }
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = MqttMessage<'_>> + Clone {
    let mut rest = bytes.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (flags, behind) = rest.split_first()?;
        rest = behind;
        let mut part = || {
            let (length, behind) = rest.split_first_chunk()?;
            let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = behind;
            Some(part)
        };
        let topic = std::str::from_utf8(part()?).ok()?;
        Some(MqttMessage { topic, payload: part()?, flags: *flags })
    })
}

/// A block that is being made.
pub(crate) struct Messages {
    bytes: Vec<u8>,
    messages: u64,
}

impl Messages {
    pub(crate) fn new() -> Messages {
        Messages { bytes: vec![VERSION], messages: 0 }
    }

    /// MQTT limits both lengths to less than four bytes.
    pub(crate) fn push(&mut self, message: MqttMessage<'_>) {
        self.bytes.push(message.flags);
        for part in [message.topic.as_bytes(), message.payload] {
            self.bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.bytes.extend(part);
        }
        self.messages += 1;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn finish(self) -> MqttBlock {
        MqttBlock { bytes: self.bytes.into(), messages: self.messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{AGAIN, RETAINED};

    #[test]
    fn messages_are_read_as_they_came_also_from_the_log() {
        let all = [("a/b", &b"to be"[..], 0), ("", b"\xff", RETAINED), ("c", b"", RETAINED | AGAIN)];
        let mut messages = Messages::new();
        for (topic, payload, flags) in all {
            messages.push(MqttMessage { topic, payload, flags });
        }
        let mut block = messages.finish();
        let logged = block.to_log().unwrap().unwrap();
        let mut again = MqttBlock::from_log(logged.clone()).unwrap();
        assert_eq!((block.record_count(), again.record_count()), (Some(3), Some(3)));
        assert!(block.records().eq(again.records()));
        let read: Vec<_> = block.records().map(|m| (m.topic(), m.payload(), m.flags)).collect();
        assert_eq!(read, all);
        // Cut anywhere but between two messages, it is no block.
        let fits = |len: &usize| MqttBlock::from_log(logged.slice(..*len)).is_ok();
        assert_eq!((0..=logged.len()).filter(fits).collect::<Vec<_>>(), [1, 18, 28, 38]);
        assert!(MqttBlock::from_log(Bytes::from_static(b"\x02")).unwrap_err().contains("another version"));
    }
}
