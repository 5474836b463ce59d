//! Who dstream is compared with.

pub(crate) mod expert;
pub(crate) mod plain;
