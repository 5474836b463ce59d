//! Who dstream is compared with.

pub(crate) mod expert;
mod keep;
pub(crate) mod plain;
pub(crate) mod renoir;
pub(crate) mod timely;
