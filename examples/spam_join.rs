//! Drops spam words by joining every batch with a table; the table changes while the stream runs.
//!
//! `cargo run --example spam_join`

use std::sync::{Arc, RwLock};

use dstream::{Str, prelude::*};

/// The words that are spam today. A program would load them from a file or a database.
fn spam(words: &[&str]) -> Rdd<(Str, bool)> {
    Rdd::parallelize(words.iter().map(|word| (Str::from(*word), true)).collect())
}

fn main() -> dstream::Result<()> {
    let table = Arc::new(RwLock::new(spam(&["lottery"])));
    let current = Arc::clone(&table);

    let ssc = dstream::stream!(batch = 1s, {
        let lines = queue_stream(vec![vec!["win the lottery"; 3]; 2]);
        let counts = lines.flat_map(|line| line.split(' ')).count_by_value();
        let clean = counts.transform(move |rdd| {
            let spam = current.read().unwrap_or_else(|e| e.into_inner()).clone();
            rdd.left_outer_join(&spam).filter(|(_, (_, spam))| spam.is_none()).map(|(word, (n, _))| (word, n))
        });
        clean.print();
    })?;

    ssc.run_batches(1)?;
    *table.write().unwrap_or_else(|e| e.into_inner()) = spam(&["lottery", "win"]);
    ssc.run_batches(1)
}
