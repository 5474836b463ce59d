//! What a compressed file holds may be much larger than the memory: it is read in pieces. A process of its
//! own, whose largest size the system knows.
#![cfg(all(target_os = "linux", feature = "gzip"))]

use std::{fs, io::Write, path::Path, time::Instant};

use dstream::prelude::*;
use flate2::{Compression, write::GzEncoder};

/// A file of so many MiB of lines, a member of the gzip file each.
fn write_gzip(path: &Path, mebibytes: usize) -> std::io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for n in 0..(1 << 20) / 64 {
        writeln!(encoder, "{n:063}")?;
    }
    fs::write(path, encoder.finish()?.repeat(mebibytes))
}

/// The most memory that this process has ever had, in MiB.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(usize::MAX) >> 10
}

fn count(mebibytes: usize) -> dstream::Result<u64> {
    let folder = tempfile::tempdir().map_err(|error| dstream::Error::io("the folder", error))?;
    write_gzip(&folder.path().join("lines.gz"), mebibytes)
        .map_err(|error| dstream::Error::io("the file", error))?;
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let lines = text_file_stream(folder.path());
        lines.filter(|line| line.len() == 63).count().collect_to(&out);
    })?;
    ssc.run_to_end()?;
    Ok(out.values().concat().iter().sum())
}

#[test]
fn the_content_of_a_compressed_file_is_not_held_whole() -> dstream::Result<()> {
    assert_eq!(count(96)?, 96 << 14);
    assert!(peak() < 80, "{} MiB for a file of 96 MiB", peak());
    Ok(())
}

/// `cargo test --release -p dstream-core --test compressed_memory -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[allow(clippy::print_stdout)]
fn time_and_memory() -> dstream::Result<()> {
    for mebibytes in [8, 64, 512, 2_900] {
        let began = Instant::now();
        count(mebibytes)?;
        println!("{mebibytes} MiB: {:?}, the process has had {} MiB at most", began.elapsed(), peak());
    }
    Ok(())
}
