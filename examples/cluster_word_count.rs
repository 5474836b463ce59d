//! Running totals of every word of every file ever put into a folder, counted by several processes.
//!
//! ```text
//! dstream-launch -n 3 -- cluster_word_count INPUT_DIR CHECKPOINT OUTPUT
//! ```
//!
//! Every 200 ms the totals are saved as text files in a folder `OUTPUT-<milliseconds>`. Kill any of the
//! processes: all are started again and go on from CHECKPOINT, and no file is lost or counted twice. It is
//! also started with another number of them, or alone, without `dstream-launch`.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use dstream::{cluster::Cluster, prelude::*};

#[derive(Parser)]
struct Args {
    /// The folder that is watched; files that are there already are read too. Move files in when they are
    /// complete.
    input_dir: PathBuf,
    /// The folder of the checkpoint, which all processes see.
    checkpoint: PathBuf,
    /// The prefix of the folders that are written.
    output: String,
}

fn main() -> dstream::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();

    let conf = Config::new().partitions(8).cluster(Cluster::from_env()?)?;
    let ssc = dstream::stream!(
        batch = 200ms,
        conf = conf,
        checkpoint = args.checkpoint,
        name = "cluster-word-count",
        {
            let lines =
                (text_file_stream(args.input_dir).new_files_only(false).settle(Duration::from_millis(100)));
            let pairs = lines.flat_map(|line| line.split_whitespace()).map(|word| (word, 1u64));
            let totals = pairs
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            totals.save_as_text_files(args.output, "");
        }
    )?;
    ssc.start()?;
    ssc.await_termination()
}
