//! A program that says what it does: its plan at the start, then a line a batch, from events.
//!
//! ```text
//! cargo run --release --example watch              20,000 rows a second, for ten seconds
//! cargo run --release --example watch -- 500000 60
//! ```
#![allow(clippy::print_stdout)]

use std::time::Duration;

use clap::Parser;
use dstream::{
    Config,
    events::{BatchCompleted, BatchesBehind, ContextStarted, Listener, OutputCompleted, Reported},
    prelude::*,
};

/// A program that says what it does: its plan at the start, then a line a batch.
#[derive(Parser)]
struct Args {
    /// How many rows are made a second
    #[arg(default_value_t = 20_000)]
    rows: u64,
    /// After how many seconds it ends
    #[arg(default_value_t = 10)]
    seconds: u64,
}

/// Writes what it is told of. It is called on a thread of its own, so that a terminal that is slow delays no
/// batch.
struct Lines;

impl Listener for Lines {
    fn context_started(&self, event: &ContextStarted) {
        println!("{}", event.plan);
    }

    fn batch_completed(&self, batch: &BatchCompleted) {
        let records: u64 = batch.inputs.iter().filter_map(|input| input.records).sum();
        let keys: Vec<String> =
            batch.kept.iter().filter_map(|kept| Some(format!("{} {}", kept.operator, kept.keys?))).collect();
        let outputs: Vec<String> =
            batch.outputs.iter().map(|output| format!("{} {:.1?}", output.output, output.elapsed)).collect();
        println!(
            "{}  read {records}  waited {:?}  took {:?}  outputs [{}]  keys [{}]{}",
            batch.batch,
            batch.scheduling_delay,
            batch.processing_time,
            outputs.join(", "),
            keys.join(", "),
            if batch.error.is_some() { "  FAILED" } else { "" },
        );
    }

    fn output_completed(&self, output: &OutputCompleted) {
        if let Some(error) = &output.error {
            println!("output {} failed after {} attempts: {error}", output.output, output.attempts);
        }
    }

    fn batches_behind(&self, behind: &BatchesBehind) {
        println!(
            "behind: the batch at {} ended {:?} late, {} wait",
            behind.batch, behind.delay, behind.waiting
        );
    }

    fn reported(&self, report: &Reported) {
        println!("{}", report.error);
    }
}

fn main() -> anyhow::Result<()> {
    let Args { rows, seconds } = Args::parse();
    let ssc = dstream::stream!(batch = 500ms, name = "watch", conf = Config::new().listener(Lines), {
        let numbers = rate_stream(rows);
        let by_digit = numbers.map(|n| (n % 1_000, n));
        let recent = by_digit.reduce_by_key_and_window(|a: u64, b| a.max(b), 2s, 1s);
        recent.count().foreach_rdd(|_| ());
        by_digit.filter(|(digit, _)| *digit == 7).count().foreach_rdd(|_| ());
    })?;
    ssc.start()?;
    ssc.await_termination_or_timeout(Duration::from_secs(seconds))?;
    ssc.stop_gracefully();
    Ok(())
}
