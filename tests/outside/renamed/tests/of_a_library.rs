//! A program that has `dstream` only by the macro of a library: `crate = $crate::streams`.

use dstream_renamed::{count_words, streams::prelude::*};

#[test]
fn a_pipeline() -> dstream_renamed::streams::Result<()> {
    let counts = Collected::new();
    let ssc = count_words!(queue_stream(vec![vec!["to be", "to"]]), counts)?;
    ssc.run_batches(1)?;
    assert_eq!(counts.values(), [[("to".into(), 2), ("be".into(), 1)]]);
    Ok(())
}
