//! What the signatures of the operators name. The operators themselves are methods of
//! [`DStream`].

// What each operator promises, as a documented method of `DStream`, and what runs beneath it: one file an
// operator, under the same name as in the compiler. Narrow operators (`map`, `filter`, ..) have no code here:
// their closures are inlined into the loop of their stage. The others have a *sink*, which takes the records
// of one task, and a step on `Batch` that puts the tasks' sinks together.

pub(crate) mod cache;
mod cogroup;
pub(crate) mod collect_to;
pub(crate) mod collected;
pub(crate) mod combine_by_key;
pub(crate) mod count;
mod count_by_value;
mod count_by_value_and_window;
mod count_by_window;
pub(crate) mod dashboard;
mod distinct;
mod filter;
mod filter_map;
pub(crate) mod flat_map;
mod flat_map_values;
pub(crate) mod foreach_partition;
pub(crate) mod foreach_rdd;
pub(crate) mod foreach_rdd_async;
mod glom;
pub(crate) mod group_by_key;
mod group_by_key_and_window;
mod inspect;
mod join;
mod keys;
mod map;
mod map_partitions;
mod map_values;
mod map_with_state;
mod named;
mod predict_on;
pub(crate) mod print;
pub(crate) mod reduce;
mod reduce_by_key;
mod reduce_by_key_and_window;
mod reduce_by_window;
mod repartition;
pub(crate) mod sample;
mod save;
mod sort_by;
pub(crate) mod split;
pub(crate) mod top;
pub(crate) mod top_by_key;
mod train_on;
mod transform;
mod union;
mod update_state_by_key;
mod values;
mod window;
pub(crate) mod words;
pub(crate) mod write_to;
mod zip_with_index;

use std::{fmt, marker::PhantomData};

pub use foreach_rdd::Outcome;
pub use named::StreamOutput;
pub(crate) use print::is_output_closed;
pub use union::Streams;

/// A stream inside `stream!`: each of its batches holds records of type `T`.
///
/// The methods are the operators, and this page is their reference. A pipeline is not built by calling them:
/// `stream!` compiles the calls into loops, and editors read them as the methods below, so that completion,
/// hovers and signature help work inside the macro. No value of this type exists in a running program.
///
/// Beyond what the signatures say:
/// * A closure may borrow from its record and give back what it borrowed: `lines.flat_map(|line| line.split('
///   '))` allocates nothing.
/// * A closure captures the surrounding variables by move, once, when the pipeline is built. It runs on
///   several threads at once, so it can't change what it captured (outputs are the exception: they run one at
///   a time).
/// * A stream used by several operators is computed once; each closure runs once a record.
pub struct DStream<T> {
    records: PhantomData<fn() -> T>,
}

impl<T> DStream<T> {
    pub(crate) fn typed() -> Self {
        DStream { records: PhantomData }
    }
}

impl<T> Clone for DStream<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for DStream<T> {}

impl<T> fmt::Debug for DStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DStream<{}>", std::any::type_name::<T>())
    }
}
