//! The write-ahead log of receivers.
use bytes::Bytes;

use super::{
    super::{
        LogBlock, LogOptions, LogPosition, RecoveredBlock, WriteAheadLog,
        sim::{Faults, Rng, SimFs},
    },
    crashes::for_seeds,
    *,
};
use crate::testing::ManualClock;

fn open(
    fs: &SimFs,
    from: Option<LogPosition>,
) -> Result<(WriteAheadLog, Vec<RecoveredBlock>), CheckpointError> {
    let mut found = Vec::new();
    let (clock, options) = (Arc::new(ManualClock::default()), LogOptions::simulated());
    let log = WriteAheadLog::open(sim_dir(fs), clock, options, from, &mut |block| found.push(block))?;
    Ok((log, found))
}

fn block(number: u64, bytes: &[u8]) -> LogBlock {
    LogBlock { stream: "socket".into(), block: number, bytes: Bytes::copy_from_slice(bytes) }
}

fn numbers(found: &[RecoveredBlock]) -> Vec<u64> {
    found.iter().map(|found| found.block).collect()
}

#[test]
fn blocks_come_back_in_order_from_any_position() {
    let fs = SimFs::new(0);
    let mut positions = Vec::new();
    for run in 0..3 {
        let (mut log, found) = open(&fs, None).unwrap();
        assert_eq!(numbers(&found), (0..run * 20).collect::<Vec<_>>());
        for n in 0..10 {
            let first = run * 20 + n * 2;
            positions.push(log.append(&[block(first, b"hello"), block(first + 1, b"")]).unwrap());
        }
        assert!(positions.is_sorted());
    }
    for (n, position) in positions.iter().enumerate() {
        let position = LogPosition::from_bytes(&position.to_bytes()).unwrap();
        let (log, found) = open(&fs, Some(position)).unwrap();
        assert_eq!(numbers(&found), ((n as u64 + 1) * 2..60).collect::<Vec<_>>());
        assert_eq!(log.end(), *positions.last().unwrap());
    }
    let (mut log, _) = open(&fs, None).unwrap();
    let files = fs.paths().len();
    log.clean(positions[20]).unwrap();
    assert!(fs.paths().len() < files);
    assert_eq!(numbers(&open(&fs, Some(positions[20])).unwrap().1), (42..60).collect::<Vec<_>>());
    let error = open(&fs, Some(positions[0])).unwrap_err().to_string();
    assert!(error.contains("/ckpt/log/log-") && error.contains("is missing"), "{error}");
}

#[test]
fn a_full_disk_passes_and_a_broken_one_does_not() {
    let fs = SimFs::new(0);
    let (mut log, _) = open(&fs, None).unwrap();
    log.append(&[block(0, b"a")]).unwrap();
    fs.set_faults(Faults { full: Some(0..1), ..Faults::default() });
    assert!(log.append(&[block(1, b"b")]).is_err());
    log.append(&[block(2, b"c")]).unwrap();
    // Also if only a sync finds that, as some of these do.
    for call in 0..100 {
        let full = Some(call % 12..call % 12 + 1);
        fs.set_faults(Faults { full, ..Faults::default() });
        let outcome = log.append(&[block(2, b"c")]);
        assert!(outcome.is_ok() || outcome.is_err_and(|error| error.is_transient()));
    }
    fs.set_faults(Faults::default());
    log.append(&[block(2, b"c")]).unwrap();
    fs.set_faults(Faults { bad_sync_from: Some(0), ..Faults::default() });
    assert!(log.append(&[block(3, b"d")]).is_err_and(|error| !error.is_transient()));
    let error = log.append(&[block(4, b"e")]).unwrap_err().to_string();
    assert!(error.contains("nothing is written after a failed sync (the disk is broken)"), "{error}");
    fs.restart(false);
    // The block whose sync failed may be there or not; it was not acknowledged.
    let mut found = numbers(&open(&fs, None).unwrap().1);
    found.dedup();
    assert_eq!(found, [0, 2, 3]);
}

#[test]
fn damage_is_found() {
    let fs = SimFs::new(0);
    let (mut log, _) = open(&fs, None).unwrap();
    let ends: Vec<_> = (0..10).map(|n| log.append(&[block(n, b"hello world")]).unwrap()).collect();
    let mut skipped = 0;
    for path in fs.paths() {
        let mut length = 0;
        fs.change(&path, |bytes| length = bytes.len());
        for at in 0..length {
            for cut in [false, true] {
                let fs = fs.fork();
                fs.change(&path, |bytes| if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << (at % 8) });
                let names_file = |error: CheckpointError| {
                    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
                };
                // A checkpoint that has used all of it knows that all of it was there.
                match open(&fs.fork(), ends.last().copied()) {
                    Ok((_, found)) => {
                        assert!(found.is_empty() && !path.ends_with("log-00000000000000000003"))
                    }
                    Err(error) => names_file(error),
                }
                match open(&fs, None) {
                    Ok((_, found)) => {
                        // Without one, the end of the last file can pass for an append that did not end.
                        assert!(
                            cut || numbers(&found) == (0..9).collect::<Vec<_>>(),
                            "{path:?} {at} {found:?}"
                        );
                        assert_eq!(fs.paths().last(), Some(&path));
                        skipped += u64::from(!cut);
                    }
                    Err(error) => names_file(error),
                }
            }
        }
    }
    assert!((1..60).contains(&skipped), "{skipped}");
}

fn simulate(seed: u64) -> Result<(), String> {
    let mut rng = Rng(seed);
    let fs = SimFs::new(rng.next());
    // Blocks that were acknowledged, and how far they were used up.
    let mut acknowledged: Vec<(LogPosition, u64)> = Vec::new();
    let mut used: Option<LogPosition> = None;
    let mut next = 0;
    for round in 0..7 {
        if round < 6 {
            let at = rng.below(60);
            fs.set_faults(Faults {
                kill_at: (rng.below(3) > 0).then(|| rng.below(60)),
                full: (rng.below(3) == 0).then(|| at..at + rng.below(10)),
                bad_sync_from: (rng.below(4) == 0).then(|| rng.below(60)),
            });
        }
        match open(&fs, used) {
            Ok((mut log, found)) => {
                let found_numbers = numbers(&found);
                if !found_numbers.is_sorted() {
                    return Err(format!("out of order: {found_numbers:?}"));
                }
                let missing =
                    acknowledged.iter().find(|(at, n)| Some(*at) > used && !found_numbers.contains(n));
                if let Some(missing) = missing {
                    return Err(format!("round {round}: {missing:?} was acknowledged, found {found:?}"));
                }
                for _ in 0..rng.below(30) {
                    let blocks: Vec<_> = (0..1 + rng.below(3))
                        .map(|n| block(next + n, &vec![7; rng.below(90) as usize]))
                        .collect();
                    next += blocks.len() as u64;
                    if let Ok(position) = log.append(&blocks) {
                        acknowledged.extend(blocks.iter().map(|b| (position, b.block)));
                        if rng.below(5) == 0 {
                            used =
                                Some(acknowledged[rng.below(acknowledged.len() as u64) as usize].0).max(used);
                            let _ = log.clean(used.unwrap());
                        }
                    }
                }
            }
            Err(CheckpointError::Io { .. } | CheckpointError::Unsynced { .. }) if round < 6 => {}
            Err(error) => return Err(format!("recovery refused: {error}")),
        }
        fs.restart(rng.below(2) == 0);
    }
    Ok(())
}

#[test]
fn no_acknowledged_block_is_lost() {
    for_seeds(simulate);
}
