//! Messages as records.

use std::{fmt, str::Utf8Error};

use dstream_core::{Bytes, Record, Str};
use serde::{Deserialize, Serialize};

/// A message, as the broker has sent it: topic and payload borrow from the block that it is in.
///
/// ```
/// use dstream::mqtt::MqttMessage;
///
/// /// The device and the degrees of a message to `devices/NAME/celsius`.
/// fn celsius<'b>(message: &MqttMessage<'b>) -> Option<(&'b str, f64)> {
///     let device = message.topic().strip_prefix("devices/")?.strip_suffix("/celsius")?;
///     Some((device, message.text().ok()?.parse().ok()?))
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MqttMessage<'b> {
    pub(crate) topic: &'b str,
    pub(crate) payload: &'b [u8],
    pub(crate) flags: u8,
}

/// The broker had kept the message for those who subscribe later.
pub(crate) const RETAINED: u8 = 1;
/// The broker may have sent the message before.
pub(crate) const AGAIN: u8 = 2;

impl<'b> MqttMessage<'b> {
    /// The topic to which it was sent.
    pub fn topic(&self) -> &'b str {
        self.topic
    }

    /// The bytes of the message.
    pub fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// The payload as text.
    pub fn text(&self) -> Result<&'b str, Utf8Error> {
        std::str::from_utf8(self.payload)
    }

    /// Whether it is the last one of its topic that the broker had kept, and not one that was sent just now.
    pub fn is_retained(&self) -> bool {
        self.flags & RETAINED != 0
    }

    /// Whether the broker says that it may have sent the message before. If so, the stream may have it twice.
    pub fn may_be_again(&self) -> bool {
        self.flags & AGAIN != 0
    }
}

impl fmt::Debug for MqttMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttMessage")
            .field("topic", &self.topic)
            .field("payload", &String::from_utf8_lossy(self.payload))
            .field("is_retained", &self.is_retained())
            .field("may_be_again", &self.may_be_again())
            .finish()
    }
}

/// An [`MqttMessage`] that owns what it has: what a message becomes where it leaves its stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MqttMessageOwned {
    /// The topic to which it was sent.
    pub topic: Str,
    /// The bytes of the message.
    pub payload: Bytes,
    /// Whether the broker had kept it.
    pub is_retained: bool,
    /// Whether the broker may have sent it before.
    pub may_be_again: bool,
}

impl Record for MqttMessage<'_> {
    type Owned = MqttMessageOwned;

    fn own(self) -> MqttMessageOwned {
        MqttMessageOwned {
            topic: self.topic.into(),
            payload: Bytes::copy_from_slice(self.payload),
            is_retained: self.is_retained(),
            may_be_again: self.may_be_again(),
        }
    }
}

impl Record for MqttMessageOwned {
    type Owned = MqttMessageOwned;

    fn own(self) -> MqttMessageOwned {
        self
    }
}
