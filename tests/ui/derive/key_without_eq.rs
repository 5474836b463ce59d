use dstream::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Hash, Serialize, Deserialize, Record)]
#[record(key)]
struct NoEq(u64);

#[derive(Clone, Hash, Serialize, Deserialize, Record)]
#[record(key)]
struct NotEvenPartial(u64);

fn main() {}
