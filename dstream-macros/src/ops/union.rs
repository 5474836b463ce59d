//! `union`: both loops push into the sinks behind it.

use super::{Arg, Kind, OpSpec};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "union",
    usage: "union(other)",
    args: &[Arg::Stream],
    optional: 0,
    options: &[],
    kind: Kind::Union,
};
