//! Running totals of the words that arrive on a TCP socket, printed once a second. They begin with one
//! `hello` and one `world`.
//!
//! ```text
//! cargo run --release --example stateful_network_word_count -- localhost 9999
//! cargo run --release --example stateful_network_word_count -- localhost 9999 CHECKPOINT
//! ```
//!
//! The server may be `nc -lk 9999`. With a folder for checkpoints, the totals go on from there.
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Parser;
use dstream::prelude::*;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Running totals of the words that a TCP server sends, printed once a second.
#[derive(Parser)]
struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The folder that keeps the totals when the program ends; without it they are gone
    checkpoint: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    log_to_stderr();
    // Removed at the end.
    let temporary = tempfile::tempdir()?;
    let checkpoint = args.checkpoint.unwrap_or_else(|| temporary.path().to_owned());

    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
        let lines = socket_text_stream(args.host, args.port);
        let pairs = lines.flat_map(|line| line.split_whitespace()).map(|word| (word, 1u64));
        let totals = pairs.update_state_by_key(
            |new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()),
            initial = vec![("hello", 1), ("world", 1)],
        );
        totals.print();
    })?;
    ssc.start()?;
    Ok(ssc.await_termination()?)
}

/// Totals go to standard output, everything else here. `RUST_LOG=warn` shows warnings only.
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
