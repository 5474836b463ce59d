//! Events as records.

use std::{fmt, str::Utf8Error};

use dstream_core::{Bytes, Record, Str, Time};
use serde::{Deserialize, Serialize};

/// An event, as an agent has sent it: headers and body borrow from the block that has the events of a
/// request.
///
/// ```
/// use dstream::flume::FlumeEvent;
///
/// /// The first word of a line, if the event is of that host.
/// fn first_word<'b>(event: &FlumeEvent<'b>, host: &str) -> Option<&'b str> {
///     event.text().ok()?.split(' ').next().filter(|_| event.header("host") == Some(host))
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlumeEvent<'b> {
    pub(crate) headers: Headers<'b>,
    pub(crate) body: &'b [u8],
}

impl<'b> FlumeEvent<'b> {
    /// The bytes of the event.
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// The body as text.
    pub fn text(&self) -> Result<&'b str, Utf8Error> {
        std::str::from_utf8(self.body)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.headers().find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    /// All headers: names and values, in the order in which they came.
    pub fn headers(&self) -> Headers<'b> {
        self.headers
    }

    /// The header `timestamp`, which interceptors of Flume set: when the event was made.
    pub fn timestamp(&self) -> Option<Time> {
        self.header("timestamp")?.parse().ok().map(Time::from_millis)
    }
}

impl fmt::Debug for FlumeEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlumeEvent")
            .field("headers", &self.headers)
            .field("body", &String::from_utf8_lossy(self.body))
            .finish()
    }
}

/// The headers of an event: pairs of name and value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Headers<'b> {
    /// For each text its length, in four bytes, and itself.
    pub(crate) rest: &'b [u8],
}

impl<'b> Headers<'b> {
    fn text(&mut self) -> Option<&'b str> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'b> Iterator for Headers<'b> {
    type Item = (&'b str, &'b str);

    fn next(&mut self) -> Option<(&'b str, &'b str)> {
        Some((self.text()?, self.text()?))
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(*self).finish()
    }
}

/// A [`FlumeEvent`] that owns what it has: what an event becomes where it leaves its stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlumeEventOwned {
    /// Names and values, in the order in which they came.
    pub headers: Vec<(Str, Str)>,
    /// The bytes of the event.
    pub body: Bytes,
}

impl Record for FlumeEvent<'_> {
    type Owned = FlumeEventOwned;

    fn own(self) -> FlumeEventOwned {
        FlumeEventOwned {
            headers: self.headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: Bytes::copy_from_slice(self.body),
        }
    }
}

impl Record for FlumeEventOwned {
    type Owned = FlumeEventOwned;

    fn own(self) -> FlumeEventOwned {
        self
    }
}
