//! Running totals of the words of all files under a URL, saved each batch:
//! `store_word_count INPUT_URL CHECKPOINT_URL OUTPUT_URL [LEASE_SECONDS]`. A URL is `s3://bucket/path`, with
//! credentials from the environment, or the path of a directory; `OUTPUT-TIME` are the folders written.
//!
//! Kill it and start it again, also on another machine: each line counts once. A second one that is started
//! meanwhile refuses to. Ctrl-C and SIGTERM stop it when what was read is written.

use std::time::Duration;

use dstream::store::{Store, save_as_text_files, text_file_stream};

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, checkpoint, output, lease) = match arguments.as_slice() {
        [input, checkpoint, output] => (input, checkpoint, output, 15.0),
        [input, checkpoint, output, lease] => (input, checkpoint, output, lease.parse()?),
        _ => anyhow::bail!("usage: store_word_count INPUT_URL CHECKPOINT_URL OUTPUT_URL [LEASE_SECONDS]"),
    };
    let checkpoint = Store::open(checkpoint)?.lease(Duration::try_from_secs_f64(lease)?);
    let ssc = dstream::stream!(
        batch = Duration::from_millis(200),
        name = "store-word-count",
        checkpoint = checkpoint,
        {
            let words = text_file_stream(input).flat_map(|line| line.split_whitespace());
            let totals =
                words.map(|word| (word, 1u64)).update_state_by_key(|new: &[u64], total: Option<u64>| {
                    Some(total.unwrap_or(0) + new.iter().sum::<u64>())
                });
            totals
                .map(|(word, n)| format!("{word} {n}"))
                .write_to(save_as_text_files(output))
                .named("totals");
        }
    )?;
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}
