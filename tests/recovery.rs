//! Programs that are stopped and started again lose nothing and count nothing twice. `kills.rs` kills them.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dstream::{
    Str,
    prelude::*,
    testing::{ManualClock, SimDisk},
};

type Counts = BTreeMap<String, u64>;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// Puts a file into a folder in one step.
fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text)
        .and_then(|()| fs::rename(&hidden, folder.join(name)))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// One life of a program with every kind of state, for `batches` batches.
fn live(
    input: &Path,
    checkpoint: &Path,
    clock: u64,
    batches: usize,
) -> dstream::Result<[Vec<(u64, Vec<(Str, u64)>)>; 3]> {
    let (totals, window, sessions) = (Collected::new(), Collected::new(), Collected::new());
    let conf = Config::new().clock(ManualClock::new(Time::from_millis(clock)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
        let lines = (text_file_stream(input).new_files_only(false).settle(Duration::ZERO));
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        pairs
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()))
            .collect_to(&totals);
        pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 3s, 1s).collect_to(&window);
        let (_seen, open) = pairs.map_with_state(
            |_word: &Str, n: Option<u64>, state: &mut State<u64>| {
                if let Some(n) = n {
                    state.update(state.get().copied().unwrap_or(0) + n);
                }
                None::<()>
            },
            timeout = 2s,
        );
        open.collect_to(&sessions);
    })?;
    ssc.run_batches(batches)?;
    Ok([totals, window, sessions].map(|out| {
        let batches = out.batches().into_iter();
        batches
            .map(|(time, mut batch)| {
                batch.sort();
                (time.as_millis(), batch)
            })
            .collect()
    }))
}

#[test]
fn a_restarted_program_equals_an_undisturbed_one() -> dstream::Result<()> {
    let now = Time::from_millis(4_000_000_000_000).as_millis();
    let (input, once, twice) = (folder(), folder(), folder());
    let files = [("a", "x y x"), ("b", "y z"), ("c", "x")];
    let mut whole = [vec![], vec![], vec![]];
    // Undisturbed: one life of nine batches. Files come before batches 1, 3 and 5, as the clock of the
    // batches has it.
    for (at, (name, text)) in files.into_iter().enumerate() {
        put(input.path(), name, text);
        let modified = std::time::UNIX_EPOCH + Duration::from_millis(now + 2_000 * at as u64 + 500);
        fs::File::options()
            .append(true)
            .open(input.path().join(name))
            .and_then(|f| f.set_modified(modified))
            .unwrap_or_else(|e| panic!("{e}"));
    }
    let undisturbed = live(input.path(), once.path(), now, 9)?;
    // The same in lives of two, three and four batches; the clock of the later ones is late.
    for (clock, batches) in [(now, 2), (now + 60_000, 3), (now + 90_000, 4)] {
        for (all, part) in whole.iter_mut().zip(live(input.path(), twice.path(), clock, batches)?) {
            all.extend(part);
        }
    }
    assert_eq!(whole, undisturbed);
    assert_eq!(whole[0].len(), 9);
    Ok(())
}

#[test]
fn a_vanished_operator_needs_consent() -> dstream::Result<()> {
    let checkpoint = folder();
    let batches = || queue_stream(vec![vec![("a", 1u64)]]);
    let add = |new: &[u64], old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>());
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let pairs = batches();
        let running = pairs.update_state_by_key(|new: &[u64], old| add(new, old));
        running.print();
    })?;
    ssc.run_batches(1)?;
    drop(ssc);

    let without = |forget: Vec<&'static str>| {
        let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), forget = forget, {
            batches().print()
        })?;
        ssc.run_batches(1)
    };
    let error = without(vec![]).map_err(|e| e.to_string());
    assert!(error.as_ref().is_err_and(|e| e.contains("running") && e.contains("forget")), "{error:?}");
    without(vec!["running"])?;

    let other = dstream::stream!(batch = 2s, checkpoint = checkpoint.path(), { batches().print() })?;
    let error = other.run_batches(1).map_err(|e| e.to_string());
    assert!(error.as_ref().is_err_and(|e| e.contains("interval")), "{error:?}");
    Ok(())
}

#[test]
fn changed_types_are_refused_and_the_state_stays() -> dstream::Result<()> {
    let checkpoint = folder();
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let running = queue_stream(vec![vec![("a", "x")]])
            .update_state_by_key(|_new, _old: Option<String>| Some("text".to_owned()));
        running.print();
    })?;
    ssc.run_batches(1)?;
    drop(ssc);
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let running = queue_stream(vec![vec![("a", 1u64)]]).update_state_by_key(|_new, old: Option<u64>| old);
        running.print();
    })?;
    let error = ssc.run_batches(1).map_err(|e| e.to_string());
    assert!(
        error.as_ref().is_err_and(|e| e.contains("running") && e.contains("u64") && e.contains("String")),
        "{error:?}"
    );
    Ok(())
}

/// The checkpoint stays before a failed batch and takes no more space, however long the program goes on.
#[test]
fn after_a_failed_batch_nothing_is_written_until_a_restart() -> dstream::Result<()> {
    let (disk, seen) = (SimDisk::new(0), Collected::new());
    let live = |fails: Option<u64>, batches| {
        let clock = ManualClock::new(Time::from_millis(500));
        let conf = Config::new().threads(1).clock(clock);
        let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = &disk, {
            let totals = queue_stream(vec![vec![("a", 1u64)]; 60])
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            totals.foreach_rdd(|_rdd, time| match Some(time.as_millis()) == fails {
                true => Err(dstream::Error::Invalid("the database is away".into())),
                false => Ok(()),
            });
            totals.map(|(_word, total)| total).collect_to(&seen);
        })?;
        let outcome = ssc.run_batches(batches).map_err(|error| error.to_string());
        let files = disk.files();
        let further = ssc.run_batches(40);
        assert_eq!(disk.files() == files, fails.is_some());
        further.map(|()| outcome)
    };
    let outcome = live(Some(4_000), 5)?;
    assert!(outcome.as_ref().is_err_and(|e| e.contains("the database is away")), "{outcome:?}");
    assert_eq!(seen.values().concat(), (1..=45).collect::<Vec<_>>());

    // The second output of the batch has run. The queue can't give its record again; files would.
    seen.clear();
    disk.restart(true);
    assert_eq!(live(None, 2)?, Ok(()));
    assert_eq!(seen.batches().first(), Some(&(Time::from_millis(5_000), vec![4])));
    Ok(())
}

fn build() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "recoverable_file_word_count"])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the example can't be built");
}

fn binary() -> PathBuf {
    let mut binary = std::env::current_exe().unwrap_or_default();
    binary.pop();
    binary.pop();
    binary.join("examples/recoverable_file_word_count")
}

/// The example.
struct Program {
    input: PathBuf,
    checkpoint: PathBuf,
    output: PathBuf,
}

impl Program {
    /// Runs it by a command that ends with the program.
    fn run(&self, mut command: Command) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.log());
        command
            .args([&self.input, &self.checkpoint, &self.output])
            .stderr(log.map_or_else(|_| Stdio::null(), Stdio::from))
            .spawn()
            .unwrap_or_else(|error| panic!("the example can't be started: {error}"))
    }

    fn log(&self) -> PathBuf {
        self.output.with_file_name("log")
    }

    /// The totals of the newest whole folder.
    fn totals(&self) -> Counts {
        let folders =
            fs::read_dir(self.output.parent().unwrap_or(Path::new("."))).into_iter().flatten().flatten();
        let newest = folders.map(|f| f.path()).filter(|f| f.join("_SUCCESS").exists()).max();
        let parts = newest.into_iter().flat_map(|f| fs::read_dir(f).into_iter().flatten().flatten());
        let mut totals = Counts::new();
        for part in parts {
            for line in fs::read_to_string(part.path()).unwrap_or_default().lines() {
                let pair = line.trim_matches(['(', ')']).split_once(", ");
                totals.extend(
                    pair.and_then(|(word, n)| Some((word.trim_matches('"').to_owned(), n.parse().ok()?))),
                );
            }
        }
        totals
    }

    /// Waits until the totals are these.
    fn wait_for(&self, expected: &Counts, limit: Duration) -> bool {
        wait_until(limit, || self.totals() == *expected)
    }
}

fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if done() {
            return true;
        }
        // Somebody else's process writes the files: there is nothing to step.
        std::thread::yield_now();
    }
    false
}

#[test]
fn a_checkpoint_of_another_application_is_refused() -> dstream::Result<()> {
    let checkpoint = folder();
    let folder = checkpoint.path();
    let run = |name: &str| {
        let ssc = match name {
            "" => dstream::stream!(batch = 1s, checkpoint = folder, { queue_stream(vec![vec![1]]).print() })?,
            _ => dstream::stream!(batch = 1s, name = name, checkpoint = folder, {
                queue_stream(vec![vec![1]]).print()
            })?,
        };
        ssc.run_batches(1)
    };
    // A program that gave itself no name yet may take one, and the name stays when it is left out.
    for name in ["", "words", ""] {
        run(name)?;
    }
    let error = run("letters").map_err(|error| error.to_string());
    let expected = format!(
        "the checkpoint in `{}` is of the application `words`, this one is `letters`: use another folder, \
         or, if it is the same application, name it `words` again",
        folder.display()
    );
    assert_eq!(error, Err(expected));
    run("words")
}

/// A file system of its own, which only the program sees, is filled and emptied from outside. Where that may
/// not be made, there is nothing to test.
#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_disk_is_full_goes_on_when_it_has_space() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    let program = Program { input: path("in"), checkpoint: path("checkpoint"), output: path("out/totals") };
    for folder in [&program.input, &program.checkpoint, &path("out")] {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{error}"));
    }
    build();
    let mount = "mount -t tmpfs -o size=256k none \"$2\"";
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).arg(binary());
        command
    };
    let probe = unshared(mount).args([&program.input, &program.checkpoint]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return;
    }
    let mut child = program.run(unshared(&format!("{mount} && exec \"$0\" \"$@\"")));
    let counts = |n| Counts::from([("word".to_owned(), n)]);
    put(&program.input, "a", "word");
    let limit = Duration::from_secs(20);
    assert!(program.wait_for(&counts(1), limit));

    // Hidden files are no part of a checkpoint.
    let seen = program.checkpoint.strip_prefix("/").unwrap_or(&program.checkpoint);
    let filler = Path::new("/proc").join(child.id().to_string()).join("root").join(seen).join(".filler");
    let fill = || {
        let file = fs::OpenOptions::new().create(true).append(true).open(&filler);
        file.and_then(|mut file| file.write_all(&vec![1; 1 << 20]))
    };
    assert!(fill().is_err(), "the disk is too large");
    put(&program.input, "b", "word word");
    let log = || fs::read_to_string(program.log()).unwrap_or_default();
    // What the program deletes behind its last checkpoint makes space again.
    let loud = wait_until(limit, || {
        fill().is_err() && log().contains("the checkpoint is not written, batches wait until it can be")
    });
    let meanwhile = program.totals();
    fs::remove_file(&filler).unwrap_or_else(|error| panic!("{error}"));
    let right = program.wait_for(&counts(3), limit);
    child.kill().and_then(|()| child.wait()).unwrap_or_else(|error| panic!("{error}"));
    assert!(loud && right && log().contains("the checkpoint is written again"), "{}", log());
    assert_eq!(meanwhile, counts(1), "no output ran without a checkpoint");
}

/// What MessagePack can't tell apart would come back as something else.
#[test]
fn state_that_would_come_back_as_another_is_refused() -> dstream::Result<()> {
    let (folder, out) = (folder(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
        let pairs = queue_stream(vec![vec![("a", Some(Some(1_u32))), ("b", Some(None))]]);
        let seen =
            pairs.update_state_by_key(|new, old: Option<Option<Option<u32>>>| new.last().copied().or(old));
        seen.collect_to(&out);
    })?;
    let error = ssc.run_batches(1).unwrap_err().to_string();
    let lost = "`Some(None)`, which would be read back as `None`";
    assert!(error.contains("`seen`") && error.contains(lost), "{error}");
    Ok(())
}
