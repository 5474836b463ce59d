use dstream::prelude::*;

#[derive(Clone, Record)]
#[record(owned = "Mine")]
struct Number(u64);

#[derive(Clone, Record)]
#[record(derive(PartialEq))]
struct Digit(u64);

#[derive(Record)]
#[record(owned = WordBuf)]
struct Word<'a>(&'a str);

#[derive(Record)]
#[record(owned = "word buf")]
struct Line<'a>(&'a str);

#[derive(Hash, Record)]
#[record(key, key)]
struct Page<'a> {
    #[record(key)]
    host: &'a str,
}

#[derive(Record)]
#[record]
enum Topic<'a> {
    #[record(skip)]
    Tag(&'a str),
}

fn main() {}
