//! The pipelines whose loops are guarded, as a user writes them.

use std::{hint::black_box, time::Duration};

use dstream::{
    StreamingContext,
    events::{Event, Listener},
    prelude::*,
};

use crate::data::{Pairs, Texts};

/// One worker: how many turns idle ones take is chance.
fn context() -> dstream::Result<StreamingContext> {
    let config = Config::new().threads(1).partitions(8).handle_signals(false).volatile_state(true);
    StreamingContext::with_config(Duration::from_secs(1), config)
}

fn short_words() -> Texts {
    Texts::of_words(3..11)
}

/// A stage and nothing else: a call a record that should not be there is much of what it takes.
pub(crate) fn fused() -> dstream::Result<StreamingContext> {
    let pairs = Pairs::new(1);
    dstream::stream!(context()?, {
        let numbers = pairs.filter(|(key, _)| key % 3 != 0).map(|(key, n)| key ^ n);
        numbers.reduce(|a, b| a.max(b)).foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

/// The same for what cuts words.
pub(crate) fn split_count() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        lines.split(b' ').count().foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn split_reduce() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        let counts = lines.split(b' ').map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
        counts.foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

/// The closure comes through a macro: it is known for what it is there too.
pub(crate) fn closure_reduce() -> dstream::Result<StreamingContext> {
    macro_rules! counted {
        ($lines:ident, $cut:expr) => {
            dstream::stream!(context()?, {
                let words = $lines.flat_map($cut);
                words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).foreach_rdd(|rdd| {
                    black_box(rdd.num_partitions());
                });
            })
        };
    }
    let lines = short_words();
    counted!(lines, |line| line.split(' '))
}

/// Words that are no short keys.
pub(crate) fn long_reduce() -> dstream::Result<StreamingContext> {
    let lines = Texts::of_words(16..24);
    dstream::stream!(context()?, {
        let counts = lines.split(b' ').map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
        counts.foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn filter_count() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        lines.filter(|line| line.contains("abc")).count().foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn update_state() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        let pairs = lines.split(b' ').map(|word| (word, 1u64));
        let totals =
            pairs.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.count().foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn map_state() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        let pairs = lines.split(b' ').map(|word| (word, 1u64));
        let (totals, _) = pairs.map_with_state(|_, n: Option<u64>, total: &mut State<u64>| {
            total.update(total.get().copied().unwrap_or(0) + n.unwrap_or(0));
            total.get().copied()
        });
        totals.count().foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn window_inverse() -> dstream::Result<StreamingContext> {
    let lines = short_words();
    dstream::stream!(context()?, {
        let pairs = lines.split(b' ').map(|word| (word, 1u64));
        pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 3s, 1s).foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn join_count() -> dstream::Result<StreamingContext> {
    let (left, right) = (Pairs::new(1), Pairs::new(2));
    dstream::stream!(context()?, {
        let left = (left);
        let right = (right);
        left.join(right).count().foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

pub(crate) fn empty() -> dstream::Result<StreamingContext> {
    let lines = Texts::empty();
    dstream::stream!(context()?, {
        let counts = lines.split(b' ').map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
        counts.foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
    })
}

/// The same, told to a listener: what it costs is the difference, on all threads.
pub(crate) fn listened() -> dstream::Result<StreamingContext> {
    struct Listens;

    impl Listener for Listens {
        fn any(&self, event: &Event) {
            black_box(event);
        }
    }

    let context = empty()?;
    context.add_listener(Listens)?;
    Ok(context)
}
