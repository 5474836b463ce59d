//! W4.

use dstream::{StreamingContext, record::Word};

use super::{INTERVAL, Out, Texts, summary};

/// The same pipeline, whatever cuts lines into words.
macro_rules! pipelines {
    ($($cut:tt)*) => {
        pub(in super::super) fn inverse(
            ssc: &StreamingContext,
            texts: Texts,
            out: &Out,
            batches: u32,
        ) -> dstream::Result<StreamingContext> {
            let out = out.clone();
            let length = INTERVAL * batches;
            dstream::stream!(ssc, {
                let pairs = texts $($cut)*.map(|word| (word, 1u64));
                let recent = pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, length, 1s);
                recent.foreach_rdd(|rdd| out.set(summary(&rdd)));
            })
        }
    };
}

pub(super) mod by_closure {
    use super::*;

    pipelines!(.flat_map(|line| line.split(' ')));

    pub(in super::super) fn longest_line(
        ssc: &StreamingContext,
        texts: Texts,
        out: &Out,
    ) -> dstream::Result<StreamingContext> {
        let out = out.clone();
        dstream::stream!(ssc, {
            let pairs = texts.flat_map(|line| line.split(' ').map(|word| (word, line.len() as u64)));
            let longest = pairs.reduce_by_key_and_window(|a, b| a.max(b), 10s, 1s);
            longest.foreach_rdd(|rdd| out.set(summary(&rdd)));
        })
    }
}

pub(super) mod by_operator {
    use super::*;

    pipelines!(.split(b' '));

    pub(in super::super) fn longest_line(
        ssc: &StreamingContext,
        texts: Texts,
        out: &Out,
    ) -> dstream::Result<StreamingContext> {
        let out = out.clone();
        dstream::stream!(ssc, {
            let pairs = texts.flat_map(|line| Word::split(line, b' ').map(|word| (word, line.len() as u64)));
            let longest = pairs.reduce_by_key_and_window(|a, b| a.max(b), 10s, 1s);
            longest.foreach_rdd(|rdd| out.set(summary(&rdd)));
        })
    }
}
