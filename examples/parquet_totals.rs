//! What each item has sold for, of all orders in a folder of Parquet files, as Parquet files.
//!
//! ```text
//! parquet_totals INPUT_DIR OUTPUT
//! ```
//!
//! Reads the columns `item` (text) and `price` (number) of all files in INPUT_DIR, and writes a folder
//! `OUTPUT-<milliseconds>` with the columns `item`, `orders` and `total`. The same pipeline follows the
//! folder as a stream if it is started instead.

use dstream::{
    parquet::{parquet_file_stream, save_as_parquet},
    prelude::*,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Order {
    item: String,
    price: f64,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Total {
    item: String,
    orders: u64,
    total: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut args = std::env::args().skip(1);
    let (Some(input), Some(output), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: parquet_totals INPUT_DIR OUTPUT".into());
    };

    let ssc = dstream::stream!(batch = 1s, name = "parquet-totals", {
        let orders = parquet_file_stream::<Order>(input);
        let sums = orders
            .map(|order| (order.item, (1u64, order.price)))
            .reduce_by_key(|a, b| (a.0 + b.0, a.1 + b.1));
        sums.map(|(item, (orders, total))| Total { item, orders, total }).write_to(save_as_parquet(output));
    })?;
    Ok(ssc.run_to_end()?)
}
