//! Running totals of the words that arrive on a TCP socket. Started again, it goes on with the totals that it
//! had.
//!
//! ```text
//! cargo run --release --example recoverable_network_word_count -- localhost 9999 /tmp/checkpoint /tmp/totals
//! ```
//!
//! Every second the totals are appended to the file OUTPUT, as one line; the seconds between an end and the
//! next start get theirs at the start. What was received is in a log beside the checkpoint, so `kill -9`
//! loses at most what came in the last 200 milliseconds, and what the system still had for the connection.
//! The line of the batch that it cuts off may be there a second time, with the same totals. Ctrl-C does the
//! batch first and loses nothing.
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Parser;
use dstream::{Str, prelude::*};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Running totals of the words that a TCP server sends, also over restarts.
#[derive(Parser)]
struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The folder of the checkpoint; it is made if it is not there
    checkpoint: PathBuf,
    /// The file that the totals are appended to
    output: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let Args { host, port, checkpoint, output } = Args::parse();
    log_to_stderr();

    let ssc =
        dstream::stream!(batch = 1s, checkpoint = checkpoint, name = "recoverable-network-word-count", {
            let lines = socket_text_stream(host, port);
            let pairs = lines.flat_map(|line| line.split_whitespace()).map(|word| (word, 1u64));
            let totals = pairs
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            totals.foreach_rdd(|rdd, time| append(&output, time, rdd.collect()));
        })?;
    ssc.start()?;
    Ok(ssc.await_termination()?)
}

/// One line: the batch's time and the totals. An error fails the batch, which the next start runs again.
fn append(output: &Path, time: Time, totals: Vec<(Str, u64)>) -> io::Result<()> {
    let totals: BTreeMap<_, _> = totals.into_iter().collect();
    let mut file = File::options().create(true).append(true).open(output)?;
    file.write_all(format!("{time} {totals:?}\n").as_bytes())?;
    file.sync_data()
}

/// Where the log goes. `RUST_LOG=warn` shows warnings only.
fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}
