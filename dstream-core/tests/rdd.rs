//! The `Rdd` API against naive programs over a `Vec`, at its edges, and its files.

#[path = "rdd/actions.rs"]
mod actions;
#[path = "rdd/edges.rs"]
mod edges;
#[path = "rdd/files.rs"]
mod files;
#[path = "rdd/narrow.rs"]
mod narrow;
#[path = "rdd/support.rs"]
mod support;
#[path = "rdd/wide.rs"]
mod wide;
