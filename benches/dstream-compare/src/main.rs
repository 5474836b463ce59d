//! Measures dstream against programs written by hand and against other frameworks, on the same data in one run.

mod data;
mod measure;
mod ours;
mod peers;
mod workload;

use std::time::Duration;

use crate::{
    data::{Data, Sizes},
    measure::measure,
    workload::{Peer, Workload},
};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let data = Data::new(Sizes::FULL);
    for workload in Workload::ALL {
        if !only.is_empty() && !only.iter().any(|name| workload.name().starts_with(name.as_str())) {
            continue;
        }
        let measured = measure(workload, &Peer::ALL, &data, 7, Duration::from_secs(20))?;
        println!("{} ({})", workload.name(), workload.about());
        for (peer, samples) in &measured.samples {
            let median = |f: fn(&measure::Sample) -> Duration| {
                let mut all: Vec<Duration> = samples.iter().map(f).collect();
                all.sort();
                all[all.len() / 2].as_secs_f64() * 1e3 / measured.batches as f64
            };
            println!(
                "  {:24} wall {:9.3} ms  cpu {:9.3} ms",
                peer.name(),
                median(|s| s.wall),
                median(|s| s.cpu)
            );
        }
    }
    Ok(())
}
