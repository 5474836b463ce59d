//! Programs whose checkpoint was damaged: they go on from what they had, or end with an error that names a
//! file. They never go back or start empty in silence, and never panic.

use dstream::{
    prelude::*,
    testing::{ManualClock, SimDisk},
};

const BATCHES: usize = 12;

/// Runs a program that counts its batches; the last count.
fn live(disk: &SimDisk, batches: usize) -> dstream::Result<Option<u64>> {
    let count = Collected::new();
    let clock = ManualClock::new(Time::from_millis(500));
    let conf = Config::new().threads(1).partitions(2).clock(clock);
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, {
        let ones = queue_stream(vec![vec![((), 1u64)]; BATCHES]);
        let total =
            ones.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        let recent = ones.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 5s, 1s);
        recent.foreach_rdd(|rdd| drop(rdd.collect()));
        total.collect_to(&count);
    })?;
    ssc.run_batches(batches)?;
    Ok(count.values().concat().last().map(|((), total)| *total))
}

/// The disk of a program that has run for some batches and was ended.
fn disk() -> dstream::Result<SimDisk> {
    let disk = SimDisk::new(0);
    assert_eq!(live(&disk, BATCHES)?, Some(BATCHES as u64));
    disk.restart(true);
    Ok(disk)
}

#[test]
fn any_damage_of_any_files() -> dstream::Result<()> {
    let (mut recovered, mut refused) = (0, 0);
    for seed in 0..600u64 {
        let mut random = seed;
        let mut below = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % n.max(1)
        };
        let disk = disk()?;
        let files = disk.files();
        for _ in 0..1 + below(4) {
            let (file, other) = (&files[below(files.len())], &files[below(files.len())]);
            let mut bytes = Vec::new();
            disk.damage(other, |other| bytes.clone_from(other));
            let kind = below(6);
            disk.damage(file, |file| {
                let at = below(file.len());
                match kind {
                    0 => file.truncate(at),
                    1 => file.clear(),
                    2 => *file = b"%PDF-1.7 something else".to_vec(),
                    3 => *file = bytes,
                    4 => file.iter_mut().skip(at).take(16).for_each(|byte| *byte = at as u8),
                    _ => file.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
                }
            });
        }
        match live(&disk, 1) {
            Ok(count) => {
                assert_eq!(count, Some(BATCHES as u64 + 1), "{seed}");
                recovered += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("`/ckpt/"), "{seed}: {error}");
                assert_eq!(disk.files(), files, "{seed}: an error deletes nothing");
                refused += 1;
            }
        }
    }
    assert!(recovered > 100 && refused > 100, "{recovered} {refused}");
    Ok(())
}

#[test]
fn without_a_whole_checkpoint_a_program_does_not_start() -> dstream::Result<()> {
    let disk = disk()?;
    disk.files().iter().for_each(|file| disk.damage(file, Vec::clear));
    let error = live(&disk, 1).map_err(|error| error.to_string());
    assert!(
        error
            .as_ref()
            .is_err_and(|e| e.starts_with("no whole checkpoint in `/ckpt`: ") && e.contains("is empty")),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn a_folder_of_something_else_is_refused() -> dstream::Result<()> {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "dear sir").unwrap_or_else(|error| panic!("{error}"));
    let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
        queue_stream(vec![vec![1]]).print();
    })?;
    let error = ssc.run_batches(1).map_err(|error| error.to_string());
    assert!(error.as_ref().is_err_and(|e| e.contains("letter.txt` is no checkpoint")), "{error:?}");
    assert!(letter.exists());
    Ok(())
}
