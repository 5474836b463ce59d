//! W5.

use dstream::StreamingContext;

use super::{Out, source::Pairs};
use crate::{data::Records, workload::Answer};

pub(super) fn join(
    ssc: &StreamingContext,
    sides: [Records; 2],
    out: &Out,
) -> dstream::Result<StreamingContext> {
    let out = out.clone();
    let (left, right) = sides.map(Pairs).into();
    dstream::stream!(ssc, {
        let left = (left);
        let right = (right);
        left.join(right)
            .count()
            .foreach_rdd(|rdd| out.set(Answer { counts: rdd.collect(), top: Vec::new() }));
    })
}
