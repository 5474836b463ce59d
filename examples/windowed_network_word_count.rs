//! Counts the words of the last WINDOW seconds, every SLIDE seconds.
//!
//! ```text
//! cargo run --release --example windowed_network_word_count -- localhost 9999 10 5    of `nc -lk 9999`
//! ```
use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use dstream::prelude::*;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Counts the words that a TCP server sent in the last WINDOW seconds, every SLIDE seconds.
#[derive(Parser)]
struct Args {
    /// The server's name or address
    host: String,
    /// The server's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How far the window reaches back, in seconds: a multiple of the batch interval, which is one second
    #[arg(value_parser = seconds)]
    window: Duration,
    /// How often the words in it are counted, in seconds: a multiple of the batch interval, too
    #[arg(value_parser = seconds)]
    slide: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn main() -> anyhow::Result<()> {
    let Args { host, port, window, slide } = Args::parse();
    log_to_stderr();

    // With literals, as in `10s, 5s`, a window that doesn't fit the batches is an error of the compiler.
    let built = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream(host, port);
        let pairs = lines.flat_map(|line| line.split_whitespace()).map(|word| (word, 1u64));
        let counts = pairs.reduce_by_key_and_window(|a, b| a + b, window, slide);
        counts.print();
    });
    let ssc = built.unwrap_or_else(|error| Args::command().error(ErrorKind::ValueValidation, error).exit());
    ssc.start()?;
    Ok(ssc.await_termination()?)
}

/// Counts go to standard output, everything else here. `RUST_LOG=warn` shows warnings only.
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
