//! `extern crate ds as dstream;` does for a whole program.

extern crate ds as dstream;

use ds::prelude::*;

#[derive(Hash, Record)]
#[record(key)]
struct Word<'a>(&'a str);

#[test]
fn a_pipeline() -> ds::Result<()> {
    let counts = Collected::new();
    let ssc = ds::stream!(batch = 1s, {
        let lines = queue_stream(vec![vec!["to be", "to"]]);
        lines.words().map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).collect_to(&counts);
        lines.map(|line| Word(line)).count_by_value().print();
    })?;
    ssc.run_batches(1)?;
    assert_eq!(counts.values()[0].len(), 2);
    Ok(())
}
