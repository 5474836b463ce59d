//! The operators: what each promises, as documented methods of [`DStream`], and what runs beneath it.
//!
//! One file an operator, under the same name as in the compiler. Narrow operators (`map`, `filter`, ..) have
//! no code here: their closures are inlined into the loop of their stage. The others have a *sink*, which
//! takes the records of one task, and a step on [`Batch`](crate::batch::Batch) that puts the tasks' sinks
//! together.

mod cache;
mod cogroup;
mod collect_to;
mod combine_by_key;
mod count;
mod count_by_value;
mod count_by_value_and_window;
mod count_by_window;
mod distinct;
mod filter;
mod filter_map;
mod flat_map;
mod flat_map_values;
mod foreach_partition;
mod foreach_rdd;
mod foreach_rdd_async;
mod glom;
mod group_by_key;
mod group_by_key_and_window;
mod inspect;
mod join;
mod keys;
mod map;
mod map_partitions;
mod map_values;
mod map_with_state;
mod named;
mod print;
mod reduce;
mod reduce_by_key;
mod reduce_by_key_and_window;
mod reduce_by_window;
mod repartition;
mod sample;
mod save;
mod sort_by;
mod split;
mod top;
mod top_by_key;
mod transform;
mod union;
mod update_state_by_key;
mod values;
mod window;
mod words;
mod write_to;
mod zip_with_index;

use std::{fmt, marker::PhantomData};

#[allow(deprecated)] // Its use is the warning.
pub use cache::not_needed;
pub(crate) use cogroup::gather;
pub use collect_to::{Collect, collect_to};
pub use combine_by_key::{CombineByKey, Partials};
pub(crate) use combine_by_key::{FEW, HasLen, entries, pairs};
pub use count::{Count, Counted};
pub use flat_map::{SplitAny, SplitText, Splits};
pub use foreach_partition::{Partition, foreach_partition};
pub use foreach_rdd::{Outcome, foreach_rdd};
pub use foreach_rdd_async::{foreach_rdd_async, foreach_rdd_async_timed};
pub use group_by_key::Grouped;
pub use named::StreamOutput;
pub(crate) use print::is_output_closed;
pub use print::{First, Print};
pub use reduce::Reduce;
pub use sample::Sample;
pub use split::pieces;
pub use top::Top;
pub use top_by_key::Largest;
pub use union::Streams;
pub use words::words;
pub use write_to::{ToSink, WriteTo};

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
