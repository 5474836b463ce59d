use dstream::prelude::*;

#[derive(Record)]
#[record(key)]
struct Word<'a>(&'a str);

fn main() {}
