//! Measures dstream against programs written by hand and against other frameworks, on the same data in one
//! run.

mod curves;
mod data;
mod measure;
mod ours;
mod page;
mod peers;
mod report;
mod stats;
#[cfg(test)]
mod tests;
mod workload;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    curves::probe::Probe,
    data::{Data, Sizes},
    measure::measure,
    workload::{Peer, Workload},
};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints ratios of dstream's times to others', and writes them into docs/performance.md
#[derive(Debug, Parser)]
struct Args {
    /// A line of JSON for each comparison, in place of the table
    #[arg(long, global = true)]
    json: bool,
    /// Small batches and few rounds, within 40 seconds; writes no page. `curves` only shortens what runs
    /// against the clock
    #[arg(long, global = true)]
    quick: bool,
    /// Only workloads whose names begin like one of these, as in `w1,w5`; writes no page
    #[arg(long, value_delimiter = ',', global = true)]
    only: Vec<String>,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measures how costs grow, and what running programs take; writes docs/performance.md and
    /// docs/performance/
    Curves,
    /// One measurement in a process of its own, for `curves`
    #[command(hide = true, subcommand)]
    Probe(Probe),
    /// Writes the data into files, for programs in other languages
    WriteData {
        /// The folder; it is made if it is not there
        folder: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let data = Data::new(if args.quick { Sizes::QUICK } else { Sizes::FULL });
    match &args.command {
        Some(Task::WriteData { folder }) => Ok(data.write(folder)?),
        Some(Task::Curves) => curves::run(args.quick),
        Some(Task::Probe(probe)) => curves::probe::run(*probe),
        None => compare(&args, &data),
    }
}

fn compare(args: &Args, data: &Data) -> anyhow::Result<()> {
    let (rounds, budget) = if args.quick { (3, 1) } else { (9, 25) };
    let setting = page::setting("cargo run --release -p dstream-compare");
    let mut lines = Vec::new();
    for workload in Workload::ALL {
        if args.only.is_empty() || args.only.iter().any(|only| workload.name().starts_with(only.as_str())) {
            let measured = measure(workload, &Peer::ALL, data, rounds, Duration::from_secs(budget))?;
            let new = report::lines(&measured);
            if !args.json {
                print!("{}", report::table(&new));
            }
            lines.extend(new);
        }
    }
    if args.json {
        print!("{}", report::json_lines(&lines));
        return Ok(());
    }
    println!("\ntargets, by CPU time:");
    for target in report::targets(&lines) {
        let met = if target.met() { "met" } else { "MISSED" };
        println!(
            "  {:42} at most {:5}{u}  found {:7.3}{u}  {met}",
            target.text,
            target.limit,
            target.found,
            u = target.unit
        );
    }
    if args.only.is_empty() && !args.quick {
        page::replace("comparison", &format!("{setting}\n{}", report::page(&lines)))?;
    }
    Ok(())
}
