//! Keeps programs from implementing the traits that are there to be called and to be bounds.
//!
//! They can then get further methods without breaking a program.

/// What such a trait demands; no program can name it.
pub trait Sealed {}
