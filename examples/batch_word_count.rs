//! Counts the words of a file, or of all files in a folder: a batch job on the functions of a stream, with no
//! stream.
//!
//! ```text
//! cargo run --release --example batch_word_count                       this file's own words
//! cargo run --release --example batch_word_count -- INPUT [OUTPUT]     the counts go to the folder OUTPUT
//! ```
use std::{
    cmp::Reverse,
    env,
    io::{self, Write},
};

use dstream::prelude::*;

fn main() -> anyhow::Result<()> {
    let mut args = env::args().skip(1);
    let input = args.next().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/", file!()).to_owned());

    let lines = Rdd::text_file(input)?;
    // By reference: a word is a piece of its line until a table keeps it.
    let words = lines.by_ref().flat_map(|line| line.split_whitespace());
    let counts = words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);

    match args.next() {
        Some(output) => counts.sort_by_key().save_as_text_file(output)?,
        None => {
            for (word, n) in counts.sort_by(|(word, n)| (Reverse(*n), word.clone())).take(10) {
                writeln!(io::stdout(), "{n:>6} {word}")?;
            }
        }
    }
    Ok(())
}
