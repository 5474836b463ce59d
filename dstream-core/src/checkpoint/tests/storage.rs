//! What is written comes back, and what does not fit is refused.

use serde::Deserialize;

use super::{
    super::{PendingBatch, inspect_checkpoint, sim::Faults},
    *,
};

fn local(dir: &std::path::Path) -> Arc<dyn CheckpointStore> {
    Arc::new(LocalDir::new(dir))
}

#[test]
fn state_comes_back_and_does_not_pile_up() {
    for background in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy { background, ..small() };
        let (mut counts, mut empty) = (Map::new(), Map::<u8>::new());
        let (mut checkpointer, ..) = resume(
            local(dir.path()),
            &mut [("counts", &mut counts), ("empty", &mut empty)],
            &[],
            policy.clone(),
        )
        .unwrap();
        for batch in 0..200u64 {
            counts.put(&format!("key {}", batch % 17), batch);
            counts.remove(&format!("key {}", batch * 7 % 17));
            counts.put(&format!("large {}", batch % 3), 1 << 40);
            checkpointer.commit(progress(batch), vec![("counts".to_owned(), counts.take())]).unwrap();
            // So that the test does not depend on how fast the thread is.
            checkpointer.settle();
            assert!(checkpointer.segments().len() <= policy.max_segments + 2);
        }
        drop(checkpointer);
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(files < policy.max_segments * policy.max_single + policy.keep + 20, "{files}");

        let (mut again, mut empty) = (Map::new(), Map::<u8>::new());
        let (_, restored, found) =
            resume(local(dir.path()), &mut [("counts", &mut again), ("empty", &mut empty)], &[], policy)
                .unwrap();
        assert_eq!(found, Some(progress(199)));
        assert_eq!((restored.continued.len(), restored.entries), (2, again.entries.len() as u64));
        assert_eq!(again.entries, counts.entries);

        let mut text = Vec::new();
        inspect_checkpoint(dir.path(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let line = format!("operator `counts` (test) of String -> u64: {} entries", counts.entries.len());
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn the_last_change_of_a_key_counts() {
    let fs = SimFs::new(0);
    let mut map = Map::new();
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("map", &mut map)], &[], small()).unwrap();
    map.put("a", 1);
    map.put("b", 1);
    map.remove("a");
    map.put("a", 2);
    map.remove("b");
    checkpointer.commit(progress(1), vec![("map".to_owned(), map.take())]).unwrap();
    map.clear();
    map.put("c", 3);
    checkpointer.commit(progress(2), vec![("map".to_owned(), map.take())]).unwrap();
    // Nothing changes, but the program is further on.
    checkpointer.commit(progress(3), vec![]).unwrap();
    drop(checkpointer);
    let mut again = Map::new();
    let (.., found) = resume(sim_dir(&fs), &mut [("map", &mut again)], &[], small()).unwrap();
    assert_eq!((again.entries, found), (map.entries, Some(progress(3))));
}

fn with_one_operator() -> SimFs {
    let fs = SimFs::new(0);
    let mut map = Map::new();
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("old", &mut map)], &[], small()).unwrap();
    map.put("a", 1u64);
    checkpointer.commit(progress(1), vec![("old".to_owned(), map.take())]).unwrap();
    fs
}

#[test]
fn a_vanished_operator_needs_consent_and_does_not_come_back() {
    let fs = with_one_operator();
    let mut new = Map::<u64>::new();
    let error = resume(sim_dir(&fs), &mut [("new", &mut new)], &[], small()).unwrap_err().to_string();
    assert_eq!(
        error,
        "checkpoint `/ckpt/checkpoint-00000000000000000000` holds state of `old`, which the program does not \
         have: expected operators of these names; bring them back, or let their state go with `forget = \
         [\"old\"]`"
    );
    let (mut checkpointer, restored, _) =
        resume(sim_dir(&fs), &mut [("new", &mut new)], &["old"], small()).unwrap();
    assert_eq!((restored.forgotten, restored.new), (vec!["old".to_owned()], vec!["new".to_owned()]));
    checkpointer.commit(progress(2), vec![]).unwrap();
    drop(checkpointer);
    for _ in 0..2 {
        let mut old = Map::<u64>::new();
        let (mut checkpointer, restored, _) =
            resume(sim_dir(&fs), &mut [("new", &mut new), ("old", &mut old)], &[], small()).unwrap();
        assert_eq!((restored.entries, old.entries.len()), (0, 0));
        checkpointer.commit(progress(3), vec![]).unwrap();
    }
}

#[test]
fn an_operator_can_start_anew() {
    let fs = with_one_operator();
    let mut old = Map::<Vec<u8>>::new();
    let (mut checkpointer, restored, _) =
        resume(sim_dir(&fs), &mut [("old", &mut old)], &["old"], small()).unwrap();
    assert_eq!((restored.forgotten, restored.new.len()), (vec!["old".to_owned()], 0));
    old.put("b", vec![1]);
    checkpointer.commit(progress(2), vec![("old".to_owned(), old.take())]).unwrap();
    drop(checkpointer);
    let mut again = Map::<Vec<u8>>::new();
    resume(sim_dir(&fs), &mut [("old", &mut again)], &[], small()).unwrap();
    assert_eq!(again.entries, old.entries);
}

#[test]
fn types_that_do_not_fit_are_named() {
    let fs = with_one_operator();
    let mut map = Map::<Vec<String>>::new();
    let error = resume(sim_dir(&fs), &mut [("old", &mut map)], &[], small()).unwrap_err().to_string();
    let expected = "found `String -> u64`, expected `String -> alloc::vec::Vec<alloc::string::String>`";
    assert!(error.starts_with("state of `old` in `/ckpt/") && error.contains(expected), "{error}");
    assert!(error.ends_with("convert it with `migrate`, or let it go with `forget = [\"old\"]`"), "{error}");
    // A wider type reads what a narrower one wrote, whatever it is called.
    let mut map = Map::<i128>::new();
    resume(sim_dir(&fs), &mut [("old", &mut map)], &[], small()).unwrap();
    assert_eq!(map.entries["a"], 1);
}

#[test]
fn a_field_added_with_a_default_is_read() {
    #[derive(Serialize)]
    struct Old<'a> {
        count: u64,
        gone: &'a str,
    }
    #[derive(Deserialize, PartialEq, Debug)]
    struct New {
        #[serde(default)]
        added: Option<u64>,
        count: u64,
    }
    let mut changes = Changes::new();
    changes.put("key", &Old { count: 7, gone: "x" });
    let (key, value) = changes.iter().next().unwrap();
    assert_eq!(decode::<String>(key).unwrap(), "key");
    assert_eq!(decode::<New>(value.unwrap()).unwrap(), New { added: None, count: 7 });
    assert!(decode::<String>(&[key, key].concat()).unwrap_err().contains("left over"));
}

#[test]
fn what_can_not_be_written_fails_the_commit() {
    struct Bad;
    impl Serialize for Bad {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let fs = SimFs::new(0);
    let mut map = Map::<u64>::new();
    let (mut checkpointer, ..) = resume(sim_dir(&fs), &mut [("map", &mut map)], &[], small()).unwrap();
    let mut changes = Changes::new();
    changes.put("a", &Bad);
    let error = checkpointer.commit(progress(1), vec![("map".to_owned(), changes)]).unwrap_err();
    assert_eq!(error.to_string(), "state of `map` can't be written: no");
    // The change is not there, so that no later commit can claim that it is.
    assert!(checkpointer.commit(progress(2), vec![]).is_err());
}

#[test]
fn only_one_process_writes() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::open(local(dir.path())).unwrap();
    let error = Session::open(local(dir.path())).unwrap_err().to_string();
    let expected =
        format!("checkpoint `{}` is in use by process {}", dir.path().display(), std::process::id());
    assert!(error.starts_with(&expected), "{error}");
    drop(session);
    Session::open(local(dir.path())).unwrap();
}

#[test]
fn a_full_disk_passes_and_a_broken_one_does_not() {
    let fs = SimFs::new(0);
    let mut map = Map::new();
    let store = sim_dir(&fs);
    let (mut checkpointer, ..) = resume(store, &mut [("map", &mut map)], &[], small()).unwrap();
    fs.set_faults(Faults { full: Some(0..3), ..Faults::default() });
    map.put("a", 1);
    let error =
        checkpointer.commit(progress(1), vec![("map".to_owned(), map.take())]).unwrap_err().to_string();
    assert!(error.starts_with("writing `/ckpt/checkpoint-"), "{error}");
    assert!(fs.paths().is_empty(), "{:?}", fs.paths());
    fs.set_faults(Faults::default());
    map.put("b", 2);
    checkpointer.commit(progress(2), vec![("map".to_owned(), map.take())]).unwrap();

    fs.set_faults(Faults { bad_sync_from: Some(0), ..Faults::default() });
    map.put("c", 3);
    assert!(checkpointer.commit(progress(3), vec![("map".to_owned(), map.take())]).is_err());
    let error = checkpointer.commit(progress(4), vec![]).unwrap_err().to_string();
    assert!(error.contains("nothing is written after a failed sync (the disk is broken)"), "{error}");
    drop(checkpointer);
    let mut again = Map::new();
    let (.., found) = resume(sim_dir(&fs), &mut [("map", &mut again)], &[], small()).unwrap();
    assert_eq!(found, Some(progress(2)));
    assert_eq!(again.entries, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
}

/// Merging and deleting while commits go on, and starts in between.
#[test]
fn the_thread_and_the_commits_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    for run in 0..10u64 {
        let mut map = Map::new();
        let policy = Policy { background: true, ..small() };
        let (mut checkpointer, ..) =
            resume(local(dir.path()), &mut [("map", &mut map)], &[], policy).unwrap();
        assert_eq!(map.entries, expected);
        for batch in 0..60 {
            map.put(&format!("key {}", batch * 7 % 31), run * 1000 + batch);
            map.remove(&format!("key {}", batch * 5 % 31));
            checkpointer.commit(progress(run * 1000 + batch), vec![("map".to_owned(), map.take())]).unwrap();
        }
        expected = map.entries;
    }
}

/// The files in `v1` were written by dstream 0.1.0; every later version has to read them.
#[test]
fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let mut map = Map::<u64>::new();
    let (.., found) = resume(local(dir.path()), &mut [("map", &mut map)], &[], small()).unwrap();
    assert_eq!(found, Some(fixture_progress()));
    assert_eq!(map.entries, (20..30).map(|n| (format!("key {n}"), n)).collect());
}

/// Run once for each version of the format.
#[test]
#[ignore = "writes the files that are to be kept"]
fn write_version_1() {
    std::fs::create_dir(fixture()).unwrap();
    let mut map = Map::<u64>::new();
    let (mut checkpointer, ..) = resume(local(&fixture()), &mut [("map", &mut map)], &[], small()).unwrap();
    for n in 0..30 {
        map.put(&format!("key {n}"), n);
        map.remove(&format!("key {}", n.wrapping_sub(10)));
        checkpointer.commit(fixture_progress(), vec![("map".to_owned(), map.take())]).unwrap();
    }
    drop(checkpointer);
    std::fs::remove_file(fixture().join(".lock")).unwrap();
}

fn fixture() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/checkpoint/tests/v1"].iter().collect()
}

fn fixture_progress() -> Progress {
    let position = || BTreeMap::from([("socket".to_owned(), b"\x00\xffposition"[..].into())]);
    Progress {
        application: "fixture".to_owned(),
        zero_time: Time::from_millis(1_000),
        interval: std::time::Duration::from_millis(1_500),
        batch_time: Time::from_millis(4_000),
        pending: vec![PendingBatch {
            time: Time::from_millis(5_500),
            outputs: vec!["print".to_owned()],
            done: None,
            inputs: position(),
        }],
        sources: position(),
        wal: position(),
        hash_seed: u64::MAX,
    }
}
