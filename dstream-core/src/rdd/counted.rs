//! What knows how many records it has.

use super::Rdd;

/// Knows how many records it has.
pub trait Counted {
    /// How many.
    fn size(&self) -> u64;
}

impl<T> Counted for Rdd<T> {
    fn size(&self) -> u64 {
        self.count()
    }
}

/// The number itself, of what is never made.
impl Counted for u64 {
    fn size(&self) -> u64 {
        *self
    }
}
