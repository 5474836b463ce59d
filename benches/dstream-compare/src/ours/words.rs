//! W1, W2, and W7, which is all at once.

use dstream::StreamingContext;

use super::{Out, Texts, summary};
use crate::workload::Answer;

pub(super) fn containing(
    ssc: &StreamingContext,
    texts: Texts,
    out: &Out,
) -> dstream::Result<StreamingContext> {
    let out = out.clone();
    dstream::stream!(ssc, {
        let lines = texts.filter(|line| line.contains("abc")).count();
        lines.foreach_rdd(|rdd| out.set(Answer { counts: rdd.collect(), top: Vec::new() }));
    })
}

/// The same pipelines, whatever cuts lines into words.
macro_rules! pipelines {
    ($($cut:tt)*) => {
        pub(in super::super) fn count(
            ssc: &StreamingContext, texts: Texts, out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            dstream::stream!(ssc, {
                let pairs = texts $($cut)*.map(|word| (word, 1u64));
                pairs.reduce_by_key(|a, b| a + b).foreach_rdd(|rdd| out.set(summary(&rdd)));
            })
        }

        pub(in super::super) fn everything(
            ssc: &StreamingContext,
            texts: Texts,
            out: &Out,
        ) -> dstream::Result<StreamingContext> {
            let (first, second, third, fourth) = (out.clone(), out.clone(), out.clone(), out.clone());
            dstream::stream!(ssc, {
                let lines = (texts);
                let counts =
                    lines $($cut)*.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
                counts.foreach_rdd(|rdd| first.set(summary(&rdd)));
                let containing = lines.filter(|line| line.contains("abc")).count();
                containing.foreach_rdd(|rdd| second.add(Answer { counts: rdd.collect(), top: Vec::new() }));
                let totals =
                    counts.update_state_by_key(|new: &[u64], old| {
                        Some(old.unwrap_or(0) + new.iter().sum::<u64>())
                    });
                totals.foreach_rdd(|rdd| third.add(summary(&rdd)));
                let recent = counts.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 10s, 1s);
                recent.foreach_rdd(|rdd| fourth.add(summary(&rdd)));
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
