//! Running totals of the words in the records of a Kinesis stream, saved each batch:
//! `kinesis_word_count STREAM CHECKPOINT OUTPUT`. Region, credentials and endpoint come from the environment:
//! `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`. `OUTPUT-TIME` are the
//! folders written.
//!
//! Kill it and start it again, and split or merge shards meanwhile: each record counts once. Ctrl-C and SIGTERM
//! stop it when what was read is written.

use std::time::Duration;

use dstream::kinesis::{Kinesis, Start, kinesis_stream};

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [stream, checkpoint, output] = arguments.as_slice() else {
        anyhow::bail!("usage: kinesis_word_count STREAM CHECKPOINT OUTPUT");
    };
    let records = Kinesis::new(stream).start(Start::TrimHorizon).poll_interval(Duration::from_millis(200));
    let ssc = dstream::stream!(
        batch = Duration::from_millis(200),
        name = "kinesis-word-count",
        checkpoint = checkpoint,
        {
            let lines = kinesis_stream(records);
            let words = lines.flat_map(|record| record.text().unwrap_or_default().split_whitespace());
            let totals =
                words.map(|word| (word, 1u64)).update_state_by_key(|new: &[u64], total: Option<u64>| {
                    Some(total.unwrap_or(0) + new.iter().sum::<u64>())
                });
            totals.map(|(word, n)| format!("{word} {n}")).save_as_text_files(output);
        }
    )?;
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}
