//! Counts the words that arrive on a TCP socket, once a second, by a query.
//!
//! ```text
//! cargo run --release --features sql --example sql_network_word_count                      a feed of its own
//! cargo run --release --features sql --example sql_network_word_count -- localhost 9999    the lines of a server
//! ```
use std::{
    io::{self, IsTerminal, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue},
};
use dstream::{prelude::*, sql::SqlContext};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What the query reads.
#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Word {
    word: String,
}

/// What it makes.
#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Total {
    word: String,
    total: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::or_usage();
    log_to_stderr();
    let (host, port) = match (args.host, args.port) {
        (Some(host), Some(port)) => (host, port),
        _ => serve_demonstration()?,
    };

    // What is wrong with it is said here, before the first batch.
    let mut totals = SqlContext::new()
        .sql("SELECT word, count(*) AS total FROM words GROUP BY word ORDER BY total DESC, word")
        .table::<Word>("words")
        .build::<Total>()?;

    let ssc = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream(host, port);
        let words = lines.flat_map(|line| line.split_whitespace()).map(|word| Word { word: word.to_owned() });
        words.transform(move |words| totals.run(&words)).map(|Total { word, total }| (word, total)).print();
    })?;
    ssc.start()?;
    // Until Ctrl-C: what was received by then is still counted.
    Ok(ssc.await_termination()?)
}

/// Counts the words that a TCP server sends, once a second. Without HOST and PORT it serves itself a
/// demonstration.
#[derive(Parser)]
#[command(override_usage = "sql_network_word_count [HOST PORT]")]
struct Args {
    /// The server's name or address
    #[arg(requires = "port")]
    host: Option<String>,
    /// The server's port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

impl Args {
    /// The arguments, or the end of the program with exit code 2.
    fn or_usage() -> Args {
        Args::try_parse().unwrap_or_else(|mut error| {
            // For a port that is no number, clap by itself says only that.
            error.insert(ContextKind::Usage, ContextValue::StyledStr(Args::command().render_usage()));
            error.exit()
        })
    }
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

/// Starts a small server on a free port, and says how to use another one.
fn serve_demonstration() -> io::Result<(String, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    tracing::info!("counting a demonstration feed on {address}; Ctrl-C ends it");
    tracing::info!("for lines of your own run `nc -lk 9999`, and this with the arguments `localhost 9999`");
    thread::spawn(move || {
        for client in listener.incoming() {
            // A client that goes away is no loss.
            let _ = client.and_then(feed);
        }
    });
    Ok((address.ip().to_string(), address.port()))
}

/// Sends five lines a second, for as long as they are wanted.
fn feed(mut client: TcpStream) -> io::Result<()> {
    const LINES: [&str; 4] = ["hello hello world", "hello stream", "words words words", "a stream of words"];
    for line in LINES.iter().cycle() {
        writeln!(client, "{line}")?;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
