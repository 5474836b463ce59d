//! A value that a checkpoint keeps.

use std::{
    any::type_name,
    ops::{Deref, DerefMut},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::checkpoint::{Changes, Stateful, decode};

/// A value that a checkpoint keeps, such as how far a source has read: what
/// [`Source::state`](crate::source::Source::state) returns.
///
/// It is written whole when it was changed; after a restart it has what it had in the last batch that had
/// begun. For a few values such as the offsets of some partitions; what has many entries implements
/// [`Stateful`] itself.
///
/// ```
/// use dstream::{Time, checkpoint::Stateful, source::{Checkpointed, Limits, Source}};
/// use std::ops::Range;
///
/// /// Numbers that go on after a restart where they were.
/// struct Numbers {
///     next: Checkpointed<u64>,
/// }
///
/// impl Source for Numbers {
///     type Block = Range<u64>;
///     type Plan = Range<u64>;
///
///     fn name(&self) -> String {
///         "numbers".into()
///     }
///
///     fn plan(&mut self, _time: Time, limits: &Limits) -> dstream::Result<Option<Range<u64>>> {
///         let from = *self.next;
///         *self.next += limits.at_most(1_000);
///         Ok(Some(from..*self.next))
///     }
///
///     fn blocks(&mut self, _time: Time, plan: &Range<u64>) -> dstream::Result<Vec<Range<u64>>> {
///         Ok(vec![plan.clone()])
///     }
///
///     fn state(&mut self) -> Option<&mut dyn Stateful> {
///         Some(&mut self.next)
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed<T> {
    value: T,
    written: bool,
}

impl<T> Checkpointed<T> {
    /// This value, which no checkpoint has yet.
    pub fn new(value: T) -> Checkpointed<T> {
        Checkpointed { value, written: false }
    }
}

impl<T> Deref for Checkpointed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Whoever borrows it to change it has changed it.
impl<T> DerefMut for Checkpointed<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.written = false;
        &mut self.value
    }
}

impl<T: Serialize + DeserializeOwned + Send> Stateful for Checkpointed<T> {
    fn fingerprint(&self) -> String {
        type_name::<T>().to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        if !std::mem::replace(&mut self.written, true) {
            out.put(&(), &self.value);
        }
    }

    fn restore(&mut self, _key: &[u8], value: &[u8]) -> Result<(), String> {
        self.value = decode(value)?;
        self.written = true;
        Ok(())
    }
}
