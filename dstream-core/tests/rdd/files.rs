//! Files: round trips, atomic appearance, and everything that can be wrong with one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use dstream_core::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{flat, pairs, parts, rdd};

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out");
    (dir, path)
}

/// The names and contents of a folder, in order.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(path)
        .expect("a folder")
        .map(|e| e.expect("an entry"))
        .map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).expect("a file")))
        .collect();
    all.sort();
    all
}

fn names(path: &Path) -> Vec<String> {
    contents(path).into_iter().map(|(name, _)| name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn objects_come_back_with_their_partitions(input in pairs()) {
        let (_dir, path) = folder();
        rdd(&input).save_as_object_file(&path)?;
        prop_assert_eq!(parts(&Rdd::<(String, u8)>::object_file(&path)?), input);
    }

    #[test]
    fn lines_come_back(
        input in proptest::collection::vec(proptest::collection::vec("[^\r\n]{0,9}", 0..6), 0..4)
    ) {
        let (_dir, path) = folder();
        rdd(&input).save_as_text_file(&path)?;
        let lines = Rdd::text_file(&path)?;
        prop_assert_eq!(lines.map(|line| line.to_string()).collect(), flat(&input));
    }

    #[test]
    fn a_damaged_object_file_is_an_error_that_names_it(
        records in proptest::collection::vec(("[a-z]{0,4}", any::<Option<u32>>()), 0..20),
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let (_dir, path) = folder();
        Rdd::parallelize(records).repartition(1).save_as_object_file(&path)?;
        let file = path.join("part-00000");
        let good = fs::read(&file)?;

        let mut flipped = good.clone();
        flipped[at.index(good.len())] ^= 1 << bit;
        fs::write(&file, flipped)?;
        let error = Rdd::<(String, Option<u32>)>::object_file(&path).expect_err("a flipped bit").to_string();
        prop_assert!(error.contains("part-00000"), "{}", error);

        fs::write(&file, &good[..at.index(good.len())])?;
        let error = Rdd::<(String, Option<u32>)>::object_file(&path).expect_err("cut off").to_string();
        prop_assert!(error.contains("part-00000") && error.contains("cut off"), "{}", error);
    }

    #[test]
    fn a_file_that_looks_right_but_holds_nonsense_is_an_error(bytes: Vec<u8>, length: Option<u64>) {
        // Only the checksum and what is before the records are as they should be.
        let (_dir, path) = folder();
        let shape = "[(string,?u32)]";
        let mut file = b"dsobject\x02\0\0\0".to_vec();
        file.extend((shape.len() as u32).to_le_bytes());
        file.extend(shape.as_bytes());
        file.extend(length.unwrap_or(bytes.len() as u64).to_le_bytes());
        file.extend(&bytes);
        file.extend(1u64.to_le_bytes());
        file.extend(crc32fast::hash(&file).to_le_bytes());
        fs::write(&path, &file)?;
        // Whatever it is, it is no panic, and no more memory than the file is worth.
        if let Err(error) = Rdd::<Vec<(String, Option<u32>)>>::object_file(&path) {
            let error = error.to_string();
            prop_assert!(error.contains("have its fields changed?") || error.contains("is cut \
                off"), "{}", error);
        }
    }
}

#[test]
fn a_folder_has_a_file_a_partition_and_a_sign_of_success() -> dstream_core::Result<()> {
    let (dir, path) = folder();
    Rdd::parallelize_in(vec![("hello", 2u64), ("world", 1)], 3).save_as_text_file(&path)?;
    let all = contents(&path);
    let text: Vec<_> =
        all.iter().map(|(name, text)| (name.as_str(), String::from_utf8_lossy(text))).collect();
    assert_eq!(
        text,
        [
            ("_SUCCESS", "".into()),
            ("part-00000", "".into()),
            ("part-00001", "(\"hello\", 2)\n".into()),
            ("part-00002", "(\"world\", 1)\n".into()),
        ]
    );
    assert_eq!(fs::read_dir(dir.path()).expect("the folder around").count(), 1);
    Ok(())
}

#[test]
fn text_is_written_as_it_is_and_the_rest_as_debug() -> dstream_core::Result<()> {
    let (_dir, path) = folder();
    let line = |path: &Path| fs::read_to_string(path.join("part-00000")).expect("a file");
    Rdd::parallelize(vec!["a \"b\""]).save_as_text_file(&path)?;
    assert_eq!(line(&path), "a \"b\"\n");
    Rdd::parallelize(vec!["owned".to_owned()]).by_ref().save_as_text_file(&path)?;
    assert_eq!(line(&path), "owned\n");
    Rdd::parallelize(vec![Some(1.5)]).save_as_text_file(&path)?;
    assert_eq!(line(&path), "Some(1.5)\n");
    Ok(())
}

#[test]
fn writing_again_replaces_all_and_gives_the_same_bytes() -> dstream_core::Result<()> {
    let (_dir, path) = folder();
    let words = Rdd::parallelize_in((0..5_000u64).map(|i| (format!("w{}", i % 700), i)).collect(), 4);
    let save = || words.by_ref().reduce_by_key(|a, b| a + b).save_as_object_file(&path);
    save()?;
    let first = contents(&path);
    save()?;
    assert_eq!(contents(&path), first);
    // Fewer partitions: no file of the old ones stays.
    Rdd::parallelize_in(vec![1], 1).save_as_text_file(&path)?;
    assert_eq!(names(&path), ["_SUCCESS", "part-00000"]);
    Ok(())
}

#[test]
fn a_reader_never_sees_a_part_of_a_folder() -> dstream_core::Result<()> {
    let (dir, _path) = folder();
    let done = AtomicBool::new(false);
    thread::scope(|scope| -> dstream_core::Result<()> {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Relaxed) {
                // Whoever looks for data passes hidden names by.
                let visible = fs::read_dir(dir.path()).expect("the folder around").flatten();
                for at in visible.filter(|e| !e.file_name().to_string_lossy().starts_with('.')) {
                    assert_eq!(names(&at.path()).len(), 5);
                    assert_eq!(Rdd::<i32>::object_file(at.path()).expect("whole files").count(), 400);
                    seen += 1;
                }
            }
            seen
        });
        for i in 0..60 {
            let at = dir.path().join(format!("batch-{i}"));
            Rdd::parallelize_in((0..400).collect(), 4).save_as_object_file(&at)?;
        }
        done.store(true, Relaxed);
        assert!(reader.join().expect("no panic") > 0);
        Ok(())
    })
}

#[test]
fn a_failed_write_leaves_nothing() {
    let (dir, path) = folder();
    let panics = std::panic::catch_unwind(|| {
        Rdd::parallelize(vec![1, 2])
            .map(|n| if n == 2 { panic!("closure") } else { n })
            .save_as_text_file(&path)
    });
    assert!(panics.is_err());
    assert_eq!(fs::read_dir(dir.path()).expect("the folder around").count(), 0);
}

#[test]
fn what_a_dead_process_left_is_swept_away() -> dstream_core::Result<()> {
    let (dir, path) = folder();
    let left = dir.path().join(".out.tmp-new-4294967295-0");
    fs::create_dir_all(left.join("part-00000")).expect("a folder");
    fs::create_dir(dir.path().join(".outer.tmp-new-4294967295-0")).expect("a folder");
    Rdd::parallelize(vec![1]).save_as_text_file(&path)?;
    assert!(!left.exists());
    // That of another output stays.
    assert!(dir.path().join(".outer.tmp-new-4294967295-0").exists());
    Ok(())
}

#[test]
fn what_is_no_output_is_never_replaced() {
    let (dir, path) = folder();
    let save =
        |path: &Path| Rdd::parallelize(vec![1]).save_as_text_file(path).expect_err("refused").to_string();
    fs::write(&path, "mine").expect("a file");
    let error = save(&path);
    assert!(
        error.ends_with("it is a file; expected nothing there, or a folder of part files to replace"),
        "{error}"
    );
    let error = save(dir.path());
    assert!(error.contains("it holds `out`; expected nothing there"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "mine");
    assert!(save(Path::new("/")).contains("expected the path of a folder"));
    assert!(
        save(&path.join("below")).starts_with("creating")
            || save(&path.join("below")).starts_with("looking at")
    );
}

#[test]
fn a_file_of_another_type_says_both() -> dstream_core::Result<()> {
    let (_dir, path) = folder();
    Rdd::parallelize(vec![("a".to_owned(), 1u64)]).save_as_object_file(&path)?;
    let error = Rdd::<(String, u32)>::object_file(&path).expect_err("another type").to_string();
    let file = path.join("part-00000");
    let expected = "holds records of type `(string,u64)`, expected `(string,u32)`";
    assert_eq!(error, format!("object file `{}` {expected}", file.display()));
    // The file alone is as good as the folder.
    assert_eq!(Rdd::<(String, u64)>::object_file(&file)?.count(), 1);
    Ok(())
}

mod before {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Click(pub(crate) u8, pub(crate) u8);
}

mod after {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Click(pub(crate) u8);
}

macro_rules! record {
    ($($t:ty),*) => {$(
        impl dstream_core::Record for $t {
            type Owned = $t;

            fn own(self) -> $t {
                self
            }
        }
    )*};
}

record!(before::Click, after::Click);

#[test]
fn a_type_may_move_but_not_lose_fields() -> dstream_core::Result<()> {
    let (_dir, path) = folder();
    Rdd::parallelize(vec![after::Click(1)]).save_as_object_file(&path)?;
    assert_eq!(Rdd::<after::Click>::object_file(&path)?.collect(), [after::Click(1)]);
    let error = Rdd::<before::Click>::object_file(&path).expect_err("a field too many").to_string();
    assert!(error.ends_with("holds records of type `Click(u8)`, expected `Click(u8,u8)`"), "{error}");
    Rdd::parallelize(vec![before::Click(1, 2)]).save_as_object_file(&path)?;
    let error = Rdd::<after::Click>::object_file(&path).expect_err("a field too few").to_string();
    assert!(error.ends_with("holds records of type `Click(u8,u8)`, expected `Click(u8)`"), "{error}");
    Ok(())
}

#[test]
fn foreign_and_missing_files_are_errors_that_name_them() {
    let (_dir, path) = folder();
    let error = Rdd::<u64>::object_file(&path).expect_err("nothing there").to_string();
    assert!(error.starts_with("reading `") && error.contains("out`: No such file"), "{error}");
    assert!(Rdd::text_file(&path).expect_err("nothing there").to_string().contains("out`: No such file"));
    fs::write(&path, "PNG, or so").expect("a file");
    let error = Rdd::<u64>::object_file(&path).expect_err("foreign").to_string();
    assert!(error.ends_with("out` is not one: expected a file written by `save_as_object_file`"), "{error}");
    fs::write(&path, "").expect("a file");
    let error = Rdd::<u64>::object_file(&path).expect_err("empty").to_string();
    assert!(error.ends_with("out` is cut off: its end is missing"), "{error}");
}

#[test]
fn text_of_a_folder_is_in_order_and_leaves_hidden_names_out() -> std::io::Result<()> {
    let (_dir, path) = folder();
    fs::create_dir_all(path.join("sub"))?;
    for (name, text) in
        [("b", "3\r\n4"), ("a", "1\n2\n"), ("_SUCCESS", "x"), (".a.crc", "x"), ("c", ""), ("sub/d", "5")]
    {
        fs::write(path.join(name), text)?;
    }
    fs::write(path.join("e"), b"\xff\n")?;
    let lines = Rdd::text_file(&path).map_err(std::io::Error::other)?;
    assert_eq!(lines.collect(), ["1", "2", "3", "4", "\u{fffd}"]);
    assert_eq!(lines.num_partitions(), 4);
    Ok(())
}

#[test]
fn large_records_fit() -> dstream_core::Result<()> {
    let (_dir, path) = folder();
    let large = "x".repeat(10 << 20);
    Rdd::parallelize(vec![(large.clone(), 1u8)]).save_as_object_file(&path)?;
    assert_eq!(Rdd::<(String, u8)>::object_file(&path)?.collect(), [(large.clone(), 1)]);
    Rdd::parallelize(vec![large.clone()]).save_as_text_file(&path)?;
    assert_eq!(Rdd::text_file(&path)?.collect(), [large]);
    Ok(())
}
