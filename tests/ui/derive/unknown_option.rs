use dstream::prelude::*;

#[derive(Hash, Record)]
#[record(keys)]
struct Word<'a>(&'a str);

#[derive(Clone, Record)]
#[record(serialise(yes))]
struct Number(u64);

fn main() {
    let out = Collected::new();
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| (Word(line), Number(1))).collect_to(&out);
    });
}
