use dstream::prelude::*;

#[derive(Record)]
struct Tweet {
    text: String,
}

fn main() {}
