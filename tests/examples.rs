//! Every example that needs no peer, run as a user runs it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

fn run(example: &str, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", example, "--"])
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("cargo can't be run: {error}"));
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The records that an example prints, batch by batch.
fn batches(example: &str) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&run(example, &[]).stdout).into_owned();
    let bodies = text.split("Time: ").skip(1);
    bodies
        .map(|body| {
            body.lines().skip(2).map(str::to_owned).filter(|l| !l.is_empty() && !l.starts_with('-')).collect()
        })
        .collect()
}

fn sorted(mut batches: Vec<Vec<String>>) -> Vec<Vec<String>> {
    batches.iter_mut().for_each(|batch| batch.sort());
    batches
}

#[test]
fn queue_word_count() {
    let counts = sorted(batches("queue_word_count"));
    assert_eq!(counts[0], ["(\"hello\", 2)", "(\"world\", 1)"]);
    assert!(counts[1].is_empty());
    assert_eq!(counts[2], ["(\"aaa\", 1)", "(\"bbb\", 1)", "(\"ccc\", 2)", "(\"ddd\", 1)"]);
}

#[test]
fn watch() {
    let output = run("watch", &["1000", "2"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("watch: a batch every 500ms"), "{text}");
    assert!(text.contains("numbers = rate_stream(1000)"), "{text}");
    let batches: Vec<&str> = text.lines().filter(|line| line.contains("  took ")).collect();
    assert!(batches.len() > 1 && batches.iter().all(|line| line.contains("outputs [")), "{text}");
    assert!(batches.iter().any(|line| line.contains("keys [recent 1000]")), "{text}");
}

#[test]
fn spam_join() {
    let counts = sorted(batches("spam_join"));
    assert_eq!(counts, [vec!["(\"the\", 3)", "(\"win\", 3)"], vec!["(\"the\", 3)"]]);
}

#[test]
fn top_hashtags() {
    assert_eq!(
        batches("top_hashtags"),
        [vec!["(\"#rust\", 3)", "(\"#streams\", 2)"], vec!["(\"#monday\", 1)"]]
    );
}

#[test]
fn sessions() {
    let ended = sorted(batches("sessions"));
    let (bob, ann, cy) = ("(\"bob\", \"/\")", "(\"ann\", \"/ /books /books/dune\")", "(\"cy\", \"/\")");
    let bob_again = "(\"bob\", \"/help\")";
    assert_eq!(ended, [vec![], vec![], vec![], vec![bob], vec![ann], vec![cy], vec![], vec![bob_again]]);
}

#[test]
fn folder_watcher() {
    let counts = batches("folder_watcher").concat();
    // The files are in different batches, or two of them in one.
    let of = |word: &str| -> u64 {
        let counts = counts.iter().filter_map(|pair| pair.strip_prefix(&format!("(\"{word}\", ")));
        counts.map(|n| n.trim_end_matches(')').parse::<u64>().unwrap_or(0)).sum()
    };
    assert_eq!([of("be"), of("question"), of("is"), of("nobler")], [2, 1, 2, 1], "{counts:?}");
}

#[test]
fn custom_receiver() {
    let averages = batches("custom_receiver").concat();
    for (sensor, range) in [("kitchen", 21.0..=23.0), ("garden", 0.0..=9.0)] {
        let of_sensor = averages.iter().filter_map(|pair| pair.strip_prefix(&format!("(\"{sensor}\", ")));
        let values: Vec<f64> = of_sensor.filter_map(|n| n.trim_end_matches(')').parse().ok()).collect();
        assert!(!values.is_empty() && values.iter().all(|value| range.contains(value)), "{averages:?}");
    }
}

#[test]
fn recoverable_file_word_count() {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "recoverable_file_word_count"])
        .status()
        .is_ok_and(|status| status.success());
    assert!(built, "the example can't be built");
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let (input, output) = (dir.path().join("input"), dir.path().join("output"));
    fs::create_dir(&input).and_then(|()| fs::create_dir(&output)).unwrap_or_else(|error| panic!("{error}"));
    let binary =
        std::env::current_exe().unwrap_or_default().with_file_name("../examples/recoverable_file_word_count");
    for (name, totals) in [("a", "(\"word\", 1)"), ("b", "(\"word\", 2)"), ("c", "(\"word\", 3)")] {
        let mut child = Command::new(&binary)
            .args([&input, &dir.path().join("checkpoint"), &output.join("totals")])
            .spawn()
            .unwrap_or_else(|error| panic!("{error}"));
        fs::write(input.join(name), "word\n").unwrap_or_else(|error| panic!("{error}"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !newest(&output).contains(totals) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        child.kill().and_then(|()| child.wait()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(newest(&output).trim(), totals);
    }
}

/// The text of the newest whole folder.
fn newest(output: &Path) -> String {
    let folders = fs::read_dir(output).into_iter().flatten().flatten().map(|folder| folder.path());
    let newest = folders.filter(|folder| folder.join("_SUCCESS").exists()).max();
    let parts = newest.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    parts.map(|part| fs::read_to_string(part.path()).unwrap_or_default()).collect()
}
