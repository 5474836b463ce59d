//! State: what a program knows of each key, from batch to batch.
//!
//! [`store::Stores`] has it in hash tables, one a bucket, keyed by owned keys and changed in place; the two
//! operators, [`UpdateStateByKey`] and [`MapWithState`], say when the user's function is called. What they
//! yield is a [`StateView`], of which the next stage borrows.

mod initial;
mod map_with_state;
mod store;
#[cfg(test)]
mod tests;
mod update;
mod view;

pub use initial::InitialState;
pub use map_with_state::{MapWithState, State};
pub use update::UpdateStateByKey;
pub use view::{StateBlock, StateView};

use store::Bucket;
