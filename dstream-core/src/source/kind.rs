//! What tells the implementations of [`IntoSource`](super::IntoSource) apart. A program can't name them.

/// A [`Source`](super::Source).
#[derive(Debug)]
pub struct FromSource;

/// A [`Receiver`](crate::receiver::Receiver).
#[derive(Debug)]
pub struct FromReceiver;

/// A [`StreamHandle`](crate::StreamHandle).
#[derive(Debug)]
pub struct FromHandle;
