//! W3.

use dstream::{Str, StreamingContext, state::State};

use super::{Out, Texts, summary};

fn add(_word: &Str, n: Option<u64>, total: &mut State<u64>) -> Option<u64> {
    total.update(total.get().copied().unwrap_or(0) + n.unwrap_or(0));
    None
}

/// The same pipelines, whatever cuts lines into words.
macro_rules! pipelines {
    ($($cut:tt)*) => {
        pub(in super::super) fn update(
            ssc: &StreamingContext, texts: Texts, out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            dstream::stream!(ssc, {
                let pairs = texts $($cut)*.map(|word| (word, 1u64));
                let totals =
                    pairs.update_state_by_key(|new: &[u64], old| {
                        Some(old.unwrap_or(0) + new.iter().sum::<u64>())
                    });
                totals.foreach_rdd(|rdd| out.set(summary(&rdd)));
            })
        }

        pub(in super::super) fn update_reduced(
            ssc: &StreamingContext,
            texts: Texts,
            out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            dstream::stream!(ssc, {
                let counts =
                    texts $($cut)*.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
                let totals =
                    counts.update_state_by_key(|new: &[u64], old| {
                        Some(old.unwrap_or(0) + new.iter().sum::<u64>())
                    });
                totals.foreach_rdd(|rdd| out.set(summary(&rdd)));
            })
        }

        pub(in super::super) fn map(
            ssc: &StreamingContext, texts: Texts, out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            dstream::stream!(ssc, {
                let pairs = texts $($cut)*.map(|word| (word, 1u64));
                let (nothing, totals) = pairs.map_with_state(add);
                totals.foreach_rdd(|rdd| out.set(summary(&rdd)));
                nothing.foreach_rdd(|_| ());
            })
        }

        pub(in super::super) fn map_reduced(
            ssc: &StreamingContext,
            texts: Texts,
            out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            dstream::stream!(ssc, {
                let counts =
                    texts $($cut)*.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
                let (nothing, totals) =
                    counts.map_with_state(|word, n, total: &mut State<u64>| add(word, n, total));
                totals.foreach_rdd(|rdd| out.set(summary(&rdd)));
                nothing.foreach_rdd(|_| ());
            })
        }
    };
}

pub(super) mod by_closure {
    use super::*;

    pipelines!(.flat_map(|line| line.split(' ')));
}

pub(super) mod by_operator {
    use super::*;

    pipelines!(.split(b' '));
}
