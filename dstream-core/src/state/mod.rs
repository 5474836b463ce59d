//! Keyed state, which a program updates from batch to batch.
//!
//! [`map_with_state`](crate::DStream::map_with_state) hands its function a [`State`]; both it and
//! [`update_state_by_key`](crate::DStream::update_state_by_key) may begin with an [`InitialState`].

// `store::StateTables` has the state in hash tables, one a bucket, keyed by owned keys and changed in place;
// the two operators, `UpdateStateByKey` and `MapWithState`, say when the user's function is called. They
// yield a `StateView`, which the next stage borrows from.

mod initial;
pub(crate) mod map_with_state;
mod store;
#[cfg(test)]
mod tests;
pub(crate) mod update;
pub(crate) mod view;

pub use initial::InitialState;
pub use map_with_state::State;
pub(crate) use view::StateView;

use store::Bucket;
