//! The example `batch_word_count`: the real program, on real files.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// Builds the example: `cargo test --test batch_word_count` does not.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = env::current_exe().expect("this program has a path");
    let directory = test.ancestors().nth(2).expect("a test lies in `deps`");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "batch_word_count", "--profile", profile, "--target-dir"])
        .arg(directory.parent().expect("a target directory"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the example does not build");
    directory.join("examples").join(format!("batch_word_count{}", env::consts::EXE_SUFFIX))
});

fn run(args: &[&Path]) -> (bool, String, String) {
    let output = Command::new(&*PROGRAM).args(args).output().expect("the example runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn counts_the_words_of_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&input).expect("a folder");
    fs::write(input.join("a.txt"), "hello hello world\n").expect("a file");
    fs::write(input.join("b.txt"), "aaa hello").expect("a file");

    let (ok, printed, _) = run(&[&input]);
    assert!(ok);
    assert_eq!(printed, "     3 hello\n     1 aaa\n     1 world\n");

    let (ok, printed, _) = run(&[&input, &output]);
    assert!(ok && printed.is_empty());
    let part = |n| fs::read_to_string(output.join(format!("part-0000{n}"))).expect("a part file");
    // Sorted over the parts.
    assert_eq!(part(0) + &part(1), "(\"aaa\", 1)\n(\"hello\", 3)\n(\"world\", 1)\n");
    assert!(output.join("_SUCCESS").exists());
}

#[test]
fn a_missing_file_is_named() {
    let (ok, _, error) = run(&[Path::new("no-such-file")]);
    assert!(!ok && error.contains("no-such-file"), "{error}");
}
