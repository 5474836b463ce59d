//! A program to look at: `cargo run -p dstream-ui --example demo`, then http://127.0.0.1:4040.

use std::sync::atomic::{AtomicU64, Ordering};

use dstream::{prelude::*, sink::OnError};
use dstream_ui::ConfigUi;

fn main() -> dstream::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4040".to_owned());
    let conf = Config::new().volatile_state(true).ui(address);
    let failing = AtomicU64::new(0);
    let ssc = dstream::stream!(batch = 1s, name = "demo", conf = conf, {
        let readings = rate_stream(2_000).map(|n| (n % 17, (n * 7919) % 1000));
        let sums = readings.reduce_by_key(|a, b| a + b);
        let recent = sums.reduce_by_key_and_window(|a, b| a + b, 10s, 1s);
        let totals =
            readings.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));

        sums.dashboard("Sums by sensor", Chart::bar().top(10));
        recent
            .map(|(sensor, sum)| (format!("sensor {sensor}"), sum))
            .dashboard("Last ten seconds", Chart::line().top(4));
        readings.count().dashboard("Readings", Chart::number().unit("a batch"));
        totals
            .map(|(sensor, total)| (*sensor, *total))
            .sort_by(|(_, total)| *total)
            .dashboard("Totals", Chart::table().columns(["sensor", "total"]));
        let places = rate_stream(40).map(|n| ((n * 37 % 140) as f64 - 60.0, (n * 101 % 360) as f64 - 180.0));
        places.dashboard("Places", Chart::map());
        sums.foreach_rdd(
            move |_| match failing.fetch_add(1, Ordering::Relaxed) % 7 {
                6 => Err(std::io::Error::other("the disk of the archive is full")),
                _ => Ok(()),
            },
            on_error = OnError::Skip,
        );
    })?;
    ssc.start()?;
    ssc.await_termination()
}
