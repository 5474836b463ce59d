//! Clusters that follow a stream of points, and the cluster of each labelled point: Spark's
//! `StreamingKMeansExample`.
//!
//! ```text
//! cargo run --features ml --example streaming_kmeans -- TRAIN_DIR TEST_DIR BATCH_SECONDS K DIMENSIONS
//! ```
//!
//! Files that are moved into TRAIN_DIR have a point a line, `[x,y,z]`; those in TEST_DIR `(label,[x,y,z])`.
//! Printed is `(label, cluster)` for each of the latter. The centers are on standard error when the program
//! ends, by Ctrl-C.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use dstream::{
    ml::{LabeledPoint, StreamingKMeans, parse_vector},
    prelude::*,
};

/// Learns clusters from the files of one folder, and finds the cluster of each point in those of another.
#[derive(Parser)]
struct Args {
    /// The folder of points to learn from, `[x,y,z]` a line
    train_dir: PathBuf,
    /// The folder of points to find the cluster of, `(label,[x,y,z])` a line
    test_dir: PathBuf,
    /// How long a batch is
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    batch_seconds: u64,
    /// How many clusters there are
    k: usize,
    /// How many numbers a point has
    dimensions: usize,
    /// The folder that keeps the model when the program ends; without it, it is gone
    #[arg(long)]
    checkpoint: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // Removed at the end.
    let temporary = tempfile::tempdir()?;
    let checkpoint = args.checkpoint.unwrap_or_else(|| temporary.path().to_owned());

    let model =
        StreamingKMeans::new(args.k).decay_factor(1.0).random_centers(args.dimensions, 0.0, 42).build();
    let model = model.context("the model")?;
    let fits = move |point: &[f64]| point.len() == args.dimensions;
    let ssc = dstream::stream!(batch = Duration::from_secs(args.batch_seconds), checkpoint = checkpoint, {
        let points = text_file_stream(args.train_dir).filter_map(|line| parse_vector(line).ok());
        points.filter(move |point| fits(point)).train_on(&model);
        let tests = text_file_stream(args.test_dir).filter_map(|line| line.parse::<LabeledPoint>().ok());
        let pairs = tests.filter(move |test| fits(&test.features)).map(|test| (test.label, test.features));
        pairs.predict_on_values(&model).print();
    })?;
    ssc.start()?;
    ssc.await_termination()?;
    tracing::info!("{}", model.latest().to_json());
    Ok(())
}
