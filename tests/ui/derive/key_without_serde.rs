use dstream::prelude::*;

#[derive(Clone, PartialEq, Eq, Hash, Record)]
#[record(key)]
struct Id(u64);

fn main() {}
