//! A linear regression that follows a stream of points, and what it says of others: Spark's
//! `StreamingLinearRegressionExample`.
//!
//! ```text
//! cargo run --features ml --example streaming_linear_regression -- TRAIN_DIR TEST_DIR
//! ```
//!
//! Files that are moved into either folder have a point a line, `(y,[x1,x2,x3])`. Printed is `(y,
//! prediction)` for each of TEST_DIR. The more there is in TRAIN_DIR, the better the predictions are.

use std::path::PathBuf;

use clap::Parser;
use dstream::{
    ml::{LabeledPoint, StreamingLinearRegressionWithSGD},
    prelude::*,
};

/// How many numbers a point has.
const DIMENSIONS: usize = 3;

/// Learns from the files of one folder, and predicts the labels of those in another.
#[derive(Parser)]
struct Args {
    /// The folder of points to learn from, `(y,[x1,x2,x3])` a line
    train_dir: PathBuf,
    /// The folder of points to predict `y` of
    test_dir: PathBuf,
    /// The folder that keeps the model when the program ends; without it, it is gone
    #[arg(long)]
    checkpoint: Option<PathBuf>,
}

/// A point that the model can take.
fn point(line: &str) -> Option<LabeledPoint> {
    line.parse().ok().filter(|point: &LabeledPoint| point.features.len() == DIMENSIONS)
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // Removed at the end.
    let temporary = tempfile::tempdir()?;
    let checkpoint = args.checkpoint.unwrap_or_else(|| temporary.path().to_owned());

    let model = StreamingLinearRegressionWithSGD::new().initial_weights(vec![0.0; DIMENSIONS]).build()?;
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
        text_file_stream(args.train_dir).filter_map(point).train_on(&model);
        let tests = text_file_stream(args.test_dir).filter_map(point);
        tests.map(|test| (test.label, test.features)).predict_on_values(&model).print();
    })?;
    ssc.start()?;
    ssc.await_termination()?;
    tracing::info!("{}", model.latest().to_json());
    Ok(())
}
