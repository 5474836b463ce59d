//! A source, a sink, a store for checkpoints and a listener that are not dstream's own.

pub mod journal;
pub mod ledger;
pub mod objects;
pub mod progress;
