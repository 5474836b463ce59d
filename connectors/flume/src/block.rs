//! The events of a request, in the one form that the stage reads and the log keeps.

use std::fmt;

use dstream_core::{Bytes, receiver::WalBlock, source::Block};

use crate::event::{FlumeEvent, Headers};

/// The form of what the log has, in its first byte.
const VERSION: u8 = 1;

/// The events of a request.
///
/// A byte with the version, then each event: the length of its headers, these, the length of its body, and
/// that. Lengths have four bytes.
#[derive(Clone)]
pub struct FlumeBlock {
    bytes: Bytes,
    events: u64,
}

impl fmt::Debug for FlumeBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlumeBlock").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Block for FlumeBlock {
    type Record<'a> = FlumeEvent<'a>;

    fn records(&mut self) -> impl Iterator<Item = FlumeEvent<'_>> {
        events(&self.bytes)
    }

    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn record_count(&self) -> Option<u64> {
        Some(self.events)
    }
}

impl WalBlock for FlumeBlock {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        Ok(Some(self.bytes.clone()))
    }

    fn from_log(bytes: Bytes) -> Result<FlumeBlock, String> {
        if bytes.first() != Some(&VERSION) {
            let found = bytes.first();
            return Err(format!(
                "events begin with {found:?}, expected {VERSION}: another version wrote them"
            ));
        }
        let read = events(&bytes);
        let size = read.clone().map(|event| 8 + event.headers.rest.len() + event.body.len()).sum::<usize>();
        if size + 1 != bytes.len() {
            return Err(format!("{size} bytes of {} are events", bytes.len() - 1));
        }
        let events = read.count() as u64;
        Ok(FlumeBlock { bytes, events })
    }
}

fn events(bytes: &[u8]) -> impl Iterator<Item = FlumeEvent<'_>> + Clone {
    let mut rest = bytes.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let mut part = || {
            let (length, behind) = rest.split_first_chunk()?;
            let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = behind;
            Some(part)
        };
        Some(FlumeEvent { headers: Headers { rest: part()? }, body: part()? })
    })
}

/// A block that is being made: for each event its headers, one by one, and then its body.
///
/// Requests are limited to less than what four bytes can count, and so is what is in them.
pub(crate) struct Events {
    bytes: Vec<u8>,
    events: u64,
    /// Where the length of the headers of the event is, once it is begun.
    open: Option<usize>,
}

impl Events {
    pub(crate) fn new() -> Events {
        Events { bytes: vec![VERSION], events: 0, open: None }
    }

    fn length(&mut self, length: usize) {
        self.bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn begin(&mut self) -> usize {
        let at = self.bytes.len();
        *self.open.get_or_insert_with(|| {
            self.bytes.extend([0; 4]);
            at
        })
    }

    /// What is no UTF-8 in them is replaced: the event would never get through, else.
    pub(crate) fn header(&mut self, name: &[u8], value: &[u8]) {
        self.begin();
        for text in [name, value].map(String::from_utf8_lossy) {
            self.length(text.len());
            self.bytes.extend(text.as_bytes());
        }
    }

    /// The event is complete.
    pub(crate) fn body(&mut self, body: &[u8]) {
        let at = self.begin();
        let headers = u32::try_from(self.bytes.len() - at - 4).unwrap_or(u32::MAX);
        self.bytes[at..at + 4].copy_from_slice(&headers.to_le_bytes());
        self.length(body.len());
        self.bytes.extend(body);
        self.events += 1;
        self.open = None;
    }

    pub(crate) fn finish(self) -> FlumeBlock {
        FlumeBlock { bytes: self.bytes.into(), events: self.events }
    }
}

#[cfg(test)]
mod tests {
    use dstream_core::{Record, Time};

    use super::*;

    #[test]
    fn events_are_read_as_they_came_also_from_the_log() {
        let mut events = Events::new();
        events.header(b"host", b"north");
        events.header(b"timestamp", b"1500");
        events.body(b"to be");
        events.body(b"");
        events.header(b"\xff", b"");
        events.body(b"\xff");
        let mut block = events.finish();
        let logged = block.to_log().unwrap().unwrap();
        let mut again = FlumeBlock::from_log(logged.clone()).unwrap();
        assert_eq!((block.record_count(), again.record_count()), (Some(3), Some(3)));
        assert!(block.records().eq(again.records()));
        let read: Vec<_> = block.records().collect();
        assert_eq!(read[0].headers().collect::<Vec<_>>(), [("host", "north"), ("timestamp", "1500")]);
        assert_eq!((read[0].header("host"), read[0].header("hos")), (Some("north"), None));
        assert_eq!((read[0].text(), read[0].timestamp()), (Ok("to be"), Some(Time::from_millis(1500))));
        assert_eq!((read[1].body(), read[1].headers().count()), (&b""[..], 0));
        assert_eq!((read[2].header("\u{fffd}"), read[2].text().is_err()), (Some(""), true));
        assert_eq!(read[0].own().headers[0], ("host".into(), "north".into()));
        // Cut anywhere but between two events, it is no block.
        let whole = [1, 1 + 8 + 38 + 5, 1 + 8 + 38 + 5 + 8, logged.len()];
        let fits = |len: &usize| FlumeBlock::from_log(logged.slice(..*len)).is_ok();
        assert_eq!((0..=logged.len()).filter(fits).collect::<Vec<_>>(), whole);
        assert!(FlumeBlock::from_log(Bytes::from_static(b"\x02")).unwrap_err().contains("another version"));
    }
}
