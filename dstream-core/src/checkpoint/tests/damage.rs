//! Damaged files: an older checkpoint, or an error that names a file; never a panic, never silence.

use super::{
    super::{fs::Fs, inspect_checkpoint, sim::Rng},
    *,
};

/// A checkpoint directory, and the state after each batch.
fn directory() -> (SimFs, Vec<BTreeMap<String, u64>>) {
    let (fs, mut after) = (SimFs::new(0), Vec::new());
    let mut map = Map::new();
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("map", &mut map)], &[], small()).unwrap();
    for batch in 0..23u64 {
        map.put(&format!("key {}", batch % 7), batch);
        map.remove(&format!("key {}", batch * 3 % 7));
        map.put(&format!("other {}", batch % 11), batch);
        checkpointer.commit(progress(batch), vec![("map".to_owned(), map.take())]).unwrap();
        after.push(map.entries.clone());
    }
    drop(checkpointer);
    (fs, after)
}

/// Recovers; returns the batch, of which the state must be right, or the error, which must name something.
fn recover(fs: &SimFs, after: &[BTreeMap<String, u64>]) -> Result<u64, String> {
    let before: Vec<_> = fs.paths();
    let mut map = Map::new();
    let result = resume(sim_dir(fs), &mut [("map", &mut map)], &[], small());
    assert_eq!(fs.paths(), before, "recovery alone deletes nothing");
    match result {
        Ok((.., progress)) => {
            let batch = progress.expect("it started empty").batch_time.as_millis();
            assert_eq!(map.entries, after[batch as usize], "batch {batch}");
            Ok(batch)
        }
        Err(error) => {
            assert!(error.to_string().contains("`/ckpt/"), "{error}");
            Err(error.to_string())
        }
    }
}

#[test]
fn every_damaged_byte_of_the_newest_is_found() {
    let (fs, after) = directory();
    assert_eq!(recover(&fs, &after), Ok(22));
    let newest = fs.paths().into_iter().rfind(|p| p.to_string_lossy().contains("checkpoint-")).unwrap();
    let mut length = 0;
    fs.change(&newest, |bytes| length = bytes.len());
    for at in 0..length {
        for cut in [false, true] {
            let fs = fs.fork();
            fs.change(&newest, |bytes| if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << (at % 8) });
            assert_eq!(recover(&fs, &after), Ok(21), "byte {at}, cut: {cut}");
        }
    }
    let fs = fs.fork();
    fs.change(&newest, |bytes| bytes.push(0));
    assert_eq!(recover(&fs, &after), Ok(21));
}

#[test]
fn any_damage_of_any_files() {
    let (whole, after) = directory();
    let paths = whole.paths();
    let (mut recovered, mut refused) = (0, 0);
    for seed in 0..3_000 {
        let mut rng = Rng(seed);
        let fs = whole.fork();
        for _ in 0..1 + rng.below(4) {
            let path = &paths[rng.below(paths.len() as u64) as usize];
            let other = &paths[rng.below(paths.len() as u64) as usize];
            let mut bytes = Vec::new();
            fs.change(other, |b| bytes.clone_from(b));
            fs.change(path, |b| {
                let at = rng.below(b.len() as u64) as usize;
                match rng.below(7) {
                    0 => b.truncate(at),
                    1 => b.clear(),
                    2 => *b = b"%PDF-1.7 something else".to_vec(),
                    3 => *b = bytes,
                    4 => b.iter_mut().skip(at).take(16).for_each(|b| *b = rng.next() as u8),
                    5 => b.splice(at..at, [0; 3]).for_each(drop),
                    _ => b.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << rng.below(8)),
                }
            });
        }
        match recover(&fs, &after) {
            Ok(_) => recovered += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(recovered > 2_500 && refused > 30, "{recovered} {refused}");
}

#[test]
fn a_program_goes_on_from_an_older_checkpoint() {
    let (fs, mut after) = directory();
    let newest = fs.paths().into_iter().rfind(|p| p.to_string_lossy().contains("checkpoint-")).unwrap();
    fs.change(&newest, Vec::clear);
    let mut map = Map::new();
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("map", &mut map)], &[], small()).unwrap();
    after.truncate(22);
    for batch in 22..40u64 {
        // The damaged file is left alone until there are enough newer ones.
        assert_eq!(fs.paths().contains(&newest), batch < 25, "{batch}");
        map.put(&format!("key {}", batch % 5), batch);
        checkpointer.commit(progress(batch), vec![("map".to_owned(), map.take())]).unwrap();
        after.push(map.entries.clone());
    }
    drop(checkpointer);
    assert_eq!(recover(&fs, &after), Ok(39));
}

#[test]
fn nothing_whole_is_an_error_that_names_all() {
    let (fs, after) = directory();
    for path in fs.paths() {
        fs.change(&path, Vec::clear);
    }
    let error = recover(&fs, &after).unwrap_err();
    assert!(
        error.starts_with("no whole checkpoint in `/ckpt`: ") && error.ends_with("to start empty"),
        "{error}"
    );
    for path in fs.paths() {
        let path = path.to_string_lossy();
        assert!(error.contains(&*path) || path.contains("merged-"), "{error}");
        if path.contains("checkpoint-") {
            fs.remove(path.as_ref().as_ref()).unwrap();
        }
    }
    // Without what refers to it, what is left is no reason to start empty.
    let error = recover(&fs, &after).unwrap_err();
    assert!(error.contains("has no checkpoint that refers to it"), "{error}");
}

#[test]
fn a_foreign_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear sir").unwrap();
    let error = Session::open(Arc::new(LocalDir::new(dir.path()))).unwrap_err().to_string();
    assert!(error.contains("letter.txt` is no checkpoint"), "{error}");
    let error = inspect_checkpoint(dir.path(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("letter.txt` is no checkpoint"), "{error}");
}

#[test]
fn a_newer_format_is_not_passed_over() {
    let (fs, after) = directory();
    let newest = fs.paths().into_iter().rfind(|p| p.to_string_lossy().contains("checkpoint-")).unwrap();
    fs.change(&newest, |bytes| {
        bytes[8] = 3;
        let name = newest.file_name().unwrap().len();
        let crc = crc32fast::hash(&bytes[..20 + name]).to_le_bytes();
        bytes[20 + name..24 + name].copy_from_slice(&crc);
    });
    let error = recover(&fs, &after).unwrap_err();
    assert!(error.contains("has format version 3, expected 2"), "{error}");
}

/// A small state is whole in each checkpoint: what damages an older file damages nothing.
#[test]
fn a_small_state_needs_one_file() {
    for segments in [1, 40] {
        let fs = SimFs::new(0);
        let mut map = Map::new();
        let policy = Policy { tail_bytes: 1 << 10, ..small() };
        for batch in 0..segments {
            let mut again = Map::<u64>::new();
            let (mut checkpointer, ..) =
                resume(sim_dir(&fs), &mut [("map", &mut again)], &[], policy.clone()).unwrap();
            map.put(&format!("key {}", batch % 7), batch);
            map.remove(&format!("key {}", batch * 3 % 7));
            checkpointer.commit(progress(batch), vec![("map".to_owned(), map.take())]).unwrap();
            // As when the next batch begins.
            checkpointer.commit(progress(batch), vec![]).unwrap();
            assert!(checkpointer.segments().len() <= 1);
        }
        let newest = fs.paths().into_iter().rfind(|p| p.to_string_lossy().contains("checkpoint-")).unwrap();
        fs.paths().iter().filter(|path| **path != newest).for_each(|path| fs.remove(path).unwrap());
        let mut again = Map::new();
        let (.., found) = resume(sim_dir(&fs), &mut [("map", &mut again)], &[], policy).unwrap();
        assert_eq!((again.entries, found), (map.entries, Some(progress(segments - 1))));
    }
}

/// Of a state in several files, each that has stood for some commits is there twice.
#[test]
fn a_damaged_file_has_a_second_way() {
    let (fs, mut map) = (SimFs::new(0), Map::new());
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("map", &mut map)], &[], small()).unwrap();
    for batch in 0..200u64 {
        for n in 0..3 {
            map.put(&format!("key {}", (batch * 3 + n) % 97), batch);
        }
        checkpointer.commit(progress(batch), vec![("map".to_owned(), map.take())]).unwrap();
    }
    let newest: Vec<_> = checkpointer.segments().iter().rev().take(small().max_single + 1).cloned().collect();
    drop(checkpointer);
    let mut survived = 0;
    for path in fs.paths() {
        let fs = fs.fork();
        fs.change(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte = !*byte));
        let mut again = Map::new();
        let (mut checkpointer, _, found) =
            resume(sim_dir(&fs), &mut [("map", &mut again)], &[], small()).unwrap();
        if newest.iter().any(|segment| path.ends_with(&segment.object)) {
            continue;
        }
        assert_eq!((&again.entries, found), (&map.entries, Some(progress(199))), "{path:?}");
        // It mends itself: the damaged object is not referred to any more.
        for batch in 200..230 {
            again.put(&format!("key {}", batch % 97), batch);
            checkpointer.commit(progress(batch), vec![("map".to_owned(), again.take())]).unwrap();
        }
        drop(checkpointer);
        let mut mended = Map::new();
        let session = Session::open(sim_dir(&fs)).unwrap();
        assert!(session.recovered().is_some_and(|recovered| recovered.replaced().is_empty()));
        drop(session);
        resume(sim_dir(&fs), &mut [("map", &mut mended)], &[], small()).unwrap();
        assert_eq!(mended.entries, again.entries);
        survived += 1;
    }
    assert!(survived > 8, "{survived}");
}
