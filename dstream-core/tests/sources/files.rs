use std::{
    fs,
    os::unix::fs::symlink,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dstream_core::{
    Config, Error, StreamingContext,
    source::{FileStream, Source, TextFile, text_file_stream},
    testing::{Collected, ManualClock, next_batch},
};

use crate::{Folder, Reported, Watched, at, source_context};

fn watch(folder: &Folder) -> Watched<TextFile> {
    Watched::start(text_file_stream(folder.path()))
}

#[test]
fn a_batch_has_what_appeared_since_the_one_before_the_oldest_first() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    folder.write("b", "third\n", 9_500);
    folder.write("a", "fourth\n", 9_500);
    folder.write("c", "second", 9_000);
    folder.write("d", "first\r\nand more\n", 1_000);
    fs::create_dir(folder.join("e")).unwrap();
    folder.write("e/deeper", "ignored", 1_000);
    assert_eq!(files.batch(11_000), ["first", "and more", "second", "fourth", "third"]);
    assert!(files.batch(12_000).is_empty());
    folder.write("f", "fifth\n", 11_500);
    assert_eq!(files.batch(13_000), ["fifth"]);
    assert!(files.batch(14_000).is_empty());
}

#[test]
fn what_was_there_before_the_start_is_left() {
    let folder = Folder::new();
    folder.write("old", "old\n", 1_000);
    folder.write("same instant", "old\n", 10_000);
    folder.write("still written", "half", 9_999);
    let mut files = watch(&folder);
    assert!(files.batch(11_000).is_empty());
    // Its writer went on after the start.
    folder.write("still written", "half and the rest\n", 11_000);
    assert_eq!(files.batch(12_000), ["half and the rest"]);
    assert!(files.batch(13_000).is_empty());

    let all = text_file_stream(folder.path()).new_files_only(false);
    assert_eq!(Watched::start(all).batch(13_000), ["old", "old", "half and the rest"]);
}

#[test]
fn a_file_that_is_moved_in_is_new_however_old_it_is() {
    let (outside, folder) = (Folder::new(), Folder::new());
    let mut files = watch(&folder);
    outside.write("a", "moved\n", 1_000);
    folder.write("_b", "renamed\n", 2_000);
    assert!(files.batch(11_000).is_empty());
    fs::rename(outside.join("a"), folder.join("a")).unwrap();
    fs::rename(folder.join("_b"), folder.join("b")).unwrap();
    assert_eq!(files.batch(12_000), ["moved", "renamed"]);
    assert!(files.batch(13_000).is_empty());
}

#[test]
fn a_file_that_is_still_written_is_not_read_half() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    folder.write("slow", "", 1_000);
    assert!(files.batch(11_000).is_empty(), "it has no content yet");
    for (modified, time) in [(11_001, 12_000), (12_999, 13_000), (13_001, 14_000)] {
        folder.write("slow", "half of a li", modified);
        assert!(files.batch(time).is_empty(), "it was modified less than a second ago");
    }
    folder.write("slow", "half of a line, and the rest\n", 14_000);
    assert_eq!(files.batch(15_000), ["half of a line, and the rest"]);
    assert!(files.batch(16_000).is_empty());
}

#[test]
fn how_long_a_file_settles_is_the_users_choice() {
    let folder = Folder::new();
    let mut at_once = Watched::start(text_file_stream(folder.path()).settle(Duration::ZERO));
    let mut slow = Watched::start(text_file_stream(folder.path()).settle(Duration::from_secs(3)));
    folder.write("a", "a\n", 11_000);
    assert_eq!(at_once.batch(11_000), ["a"]);
    for time in [11_000, 12_000, 13_000] {
        assert!(slow.batch(time).is_empty());
    }
    assert_eq!(slow.batch(14_000), ["a"]);
}

#[test]
fn a_file_from_the_future_waits() {
    let folder = Folder::new();
    let mut files = Watched::start(text_file_stream(folder.path()).settle(Duration::ZERO));
    folder.write("a", "a\n", 13_001);
    for time in [11_000, 12_000, 13_000] {
        assert!(files.batch(time).is_empty());
    }
    assert_eq!(files.batch(14_000), ["a"]);
}

#[test]
fn a_path_is_taken_once_unless_it_was_gone() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    folder.write("a", "one\n", 10_500);
    assert_eq!(files.batch(12_000), ["one"]);
    folder.write("a", "written anew, and longer\n", 12_500);
    assert!(files.batch(14_000).is_empty());
    folder.write("_a", "renamed over it\n", 12_500);
    fs::rename(folder.join("_a"), folder.join("a")).unwrap();
    assert!(files.batch(15_000).is_empty());
    fs::remove_file(folder.join("a")).unwrap();
    assert!(files.batch(16_000).is_empty());
    folder.write("a", "another file\n", 12_500);
    assert_eq!(files.batch(17_000), ["another file"]);
}

#[test]
fn hidden_names_are_ignored() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    for name in ["_x", ".x", "_SUCCESS", ".x.swp", "x_", "x."] {
        folder.write(name, format!("{name}\n"), 9_000);
    }
    assert_eq!(files.batch(11_000), ["x.", "x_"]);
    fs::remove_file(folder.join("_x")).unwrap();
    assert!(files.reported.take().is_empty());
}

#[test]
fn a_filter_decides_about_paths() {
    let folder = Folder::new();
    let open = Arc::new(AtomicBool::new(false));
    let accept = {
        let open = Arc::clone(&open);
        move |path: &Path| path.extension().is_some_and(|e| e == "log") || open.load(Ordering::SeqCst)
    };
    let mut files = Watched::start(text_file_stream(folder.path()).filter(accept));
    folder.write("a.log", "a\n", 9_000);
    folder.write("b.txt", "b\n", 9_000);
    assert_eq!(files.batch(11_000), ["a"]);
    assert!(files.batch(12_000).is_empty());
    open.store(true, Ordering::SeqCst);
    assert_eq!(files.batch(13_000), ["b"]);
}

#[test]
fn a_filter_that_panics_loses_no_file() {
    let folder = Folder::new();
    let panics = Arc::new(AtomicBool::new(true));
    let accept = {
        let panics = Arc::clone(&panics);
        move |path: &Path| !path.ends_with("b") || !panics.swap(false, Ordering::SeqCst)
    };
    let mut files = Watched::start(text_file_stream(folder.path()).filter(move |path| {
        assert!(accept(path), "on purpose");
        true
    }));
    for name in ["a", "b", "c"] {
        folder.write(name, format!("{name}\n"), 9_000);
    }
    assert!(catch_unwind(AssertUnwindSafe(|| files.batch(11_000))).is_err());
    assert_eq!(files.batch(12_000), ["a", "b", "c"]);
    assert!(files.batch(13_000).is_empty());
}

#[test]
fn a_pattern_stands_for_the_folders_that_match() {
    let root = Folder::new();
    for folder in ["2025-11", "2026-01", "2026-02"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    let mut files = Watched::start(text_file_stream(root.join("2026-*")));
    for (file, modified) in [("2025-11/a", 9_000), ("2026-01/a", 9_500), ("2026-02/a", 9_000)] {
        root.write(file, format!("{file}\n"), modified);
    }
    assert_eq!(files.batch(11_000), ["2026-02/a", "2026-01/a"]);
    // A folder that appears later, and one that goes.
    fs::create_dir_all(root.join("2026-03/inner")).unwrap();
    root.write("2026-03/a", "later\n", 9_000);
    root.write("2026-03/inner/a", "ignored\n", 9_000);
    root.write("2026-not a folder", "ignored\n", 9_000);
    fs::rename(root.join("2026-01"), root.join("away")).unwrap();
    assert_eq!(files.batch(12_000), ["later"]);
    assert!(files.batch(13_000).is_empty());
    assert!(files.reported.take().is_empty());
}

#[test]
fn a_folder_may_be_named_like_a_pattern() {
    let root = Folder::new();
    fs::create_dir(root.join("[x]")).unwrap();
    let mut files = Watched::start(text_file_stream(root.join("[x]")));
    root.write("[x]/a", "a\n", 9_000);
    assert_eq!(files.batch(11_000), ["a"]);
}

#[test]
fn a_pattern_that_cannot_be_read_is_an_error_at_the_start() {
    let mut files = text_file_stream("/no/such/[x");
    let context = source_context(&ManualClock::new(at(0)), Config::new());
    let error = files.start(&context).unwrap_err().to_string();
    assert!(
        error.starts_with("source `text_file_stream(/no/such/[x)`: the pattern can't be read"),
        "{error}"
    );
}

#[test]
fn a_folder_may_appear_later_and_go_and_come_back() {
    let root = Folder::new();
    let mut files = Watched::start(text_file_stream(root.join("later")));
    assert!(files.batch(11_000).is_empty());
    fs::create_dir(root.join("later")).unwrap();
    root.write("later/a", "a\n", 9_000);
    assert_eq!(files.batch(12_000), ["a"]);
    fs::rename(root.join("later"), root.join("away")).unwrap();
    assert!(files.batch(13_000).is_empty());
    fs::rename(root.join("away"), root.join("later")).unwrap();
    root.write("later/b", "b\n", 9_000);
    assert_eq!(files.batch(14_000), ["b"], "what was taken before is not taken again");
}

#[test]
fn a_file_that_goes_before_it_is_read_is_reported_and_costs_no_other() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    for name in ["a", "b", "c", "d"] {
        folder.write(name, format!("{name}\n"), 9_000);
    }
    let mut blocks = next_batch(&mut files.stream, at(11_000)).unwrap();
    fs::remove_file(folder.join("b")).unwrap();
    fs::write(folder.join("c"), "").unwrap();
    fs::remove_file(folder.join("d")).unwrap();
    fs::create_dir(folder.join("d")).unwrap();
    let opened: Vec<_> = blocks.iter_mut().map(dstream_core::source::Block::open).collect();
    assert!(opened[0].is_ok());
    let errors: Vec<_> = opened.into_iter().filter_map(Result::err).map(|e| e.to_string()).collect();
    for (name, error) in ["b", "c", "d"].into_iter().zip(&errors) {
        assert!(error.contains(&format!("`{}`", folder.join(name).display())), "{error}");
    }
    assert!(errors[0].contains("No such file"), "{}", errors[0]);
    assert!(errors[1].ends_with("is shorter than when it was listed"), "{}", errors[1]);
    assert!(errors[2].contains("directory"), "{}", errors[2]);
}

#[test]
fn a_link_to_nothing_is_reported_once_and_read_when_it_leads_somewhere() {
    let (outside, folder) = (Folder::new(), Folder::new());
    let mut files = watch(&folder);
    symlink(outside.join("target"), folder.join("link")).unwrap();
    folder.write("a", "a\n", 9_000);
    assert_eq!(files.batch(11_000), ["a"]);
    let reported = files.reported.take();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("/link`"), "{reported:?}");
    assert!(files.batch(12_000).is_empty());
    assert!(files.reported.take().is_empty());
    outside.write("target", "linked\n", 9_000);
    assert_eq!(files.batch(13_000), ["linked"]);
    assert!(files.batch(14_000).is_empty());
}

#[test]
fn what_is_appended_after_the_listing_is_not_read() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    folder.write("a", "one\ntw", 9_000);
    let mut blocks = next_batch(&mut files.stream, at(11_000)).unwrap();
    folder.write("a", "one\ntwo\nthree\n", 9_000);
    let mut lines = Vec::new();
    for block in &mut blocks {
        dstream_core::source::Block::open(block).unwrap();
        lines.extend(dstream_core::source::Block::records(block).map(str::to_owned));
    }
    assert_eq!(lines, ["one", "tw"]);
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let folder = Folder::new();
    let mut files = watch(&folder);
    folder.write("a", b"caf\xe9\nna\xefve \xf0\x9f\x98\x80\n\xff\xfe", 9_000);
    assert_eq!(files.batch(11_000), ["caf\u{fffd}", "na\u{fffd}ve \u{1f600}", "\u{fffd}\u{fffd}"]);
    assert!(files.reported.take().is_empty());
}

#[test]
fn a_hundred_thousand_files_in_one_folder() {
    const FILES: usize = 100_000;
    let folder = Folder::new();
    let mut files = Watched::start(text_file_stream(folder.path()).settle(Duration::ZERO));
    // Names of a few files: to the stream they are as good, and much sooner made.
    for n in 0..FILES {
        let name = folder.join(&n.to_string());
        match n % 50_000 {
            0 => fs::write(name, "x\n").unwrap(),
            at => fs::hard_link(folder.join(&(n - at).to_string()), name).unwrap(),
        }
    }
    // Far behind the files' own times.
    let now = 100 * 365 * 24 * 3_600_000;
    let first = Instant::now();
    let found = next_batch(&mut files.stream, at(now)).unwrap();
    let first = first.elapsed();
    assert_eq!(found.len(), FILES);
    folder.write("one more", "y\n", 9_000);
    let again = Instant::now();
    assert_eq!(files.batch(now + 1_000), ["y"]);
    let again = again.elapsed();
    // What is done with is listed, but not looked at. (Far from the true figures: the machine may be busy.)
    assert!(first.as_secs() < 20 && again.as_secs() < 10, "{first:?}, then {again:?}");
}

/// The same through a context: stages open the blocks, and report.
#[test]
fn a_bad_file_fails_no_batch_and_loses_no_other_file() {
    let folder = Folder::new();
    let clock = ManualClock::new(at(10_000));
    let reported = Reported::default();
    let config = reported.config().clock(clock).threads(2);
    let out = Collected::new();
    let files: FileStream<TextFile> = text_file_stream(folder.path());
    let ssc: StreamingContext = dstream_stream(files, &out, config).unwrap();
    folder.write("a", "one\n", 9_000);
    folder.write("b.gz", "this is no gzip", 9_000);
    folder.write("c", "two\n", 9_000);
    // The start leaves what is there, so the files are touched after it.
    ssc.run_batches(1).unwrap();
    for name in ["a", "b.gz", "c"] {
        folder.touch(name, 10_500);
    }
    ssc.run_batches(2).unwrap();
    assert_eq!(
        out.values(),
        [vec![], vec!["one".into(), "two".into()], vec![]] as [Vec<dstream_core::Str>; 3]
    );
    let reported = reported.take();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("/b.gz`"), "{reported:?}");
}

fn dstream_stream(
    files: FileStream<TextFile>,
    out: &Collected<dstream_core::Str>,
    config: Config,
) -> Result<StreamingContext, Error> {
    dstream::stream!(batch = 1s, conf = config, {
        files.collect_to(out);
    })
}
