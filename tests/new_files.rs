//! What a stream of files makes of those that were there before the start, and what it says of them.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use dstream::{prelude::*, testing::ManualClock};

/// What is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that was modified so many seconds after the epoch.
fn put(folder: &Path, name: &str, text: &str, seconds: u64) -> io::Result<()> {
    fs::write(folder.join(name), text)?;
    let file = fs::File::options().append(true).open(folder.join(name))?;
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Three batches of a program that starts at this second.
fn live(
    folder: &Path,
    checkpoint: Option<&Path>,
    new_files_only: bool,
    second: u64,
) -> dstream::Result<Vec<String>> {
    let out = Collected::new();
    let conf = Config::new().clock(ManualClock::new(Time::from_millis(second * 1_000)));
    let files = || text_file_stream(folder).new_files_only(new_files_only).settle(Duration::ZERO);
    let ssc = match checkpoint {
        None => dstream::stream!(batch = 1s, conf = conf, { (files()).collect_to(&out) }),
        Some(checkpoint) => {
            dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, { (files()).collect_to(&out) })
        }
    }?;
    ssc.run_batches(3)?;
    Ok(out.values().concat().into_iter().map(String::from).collect())
}

#[test]
fn what_was_there_before_is_left_and_said_or_taken_where_that_is_asked_for()
-> Result<(), Box<dyn std::error::Error>> {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let said = || logged.take().lines().filter(|line| line.contains("were there before")).count();
    for (with_checkpoint, new_files_only) in [(false, true), (false, false), (true, true), (true, false)] {
        let (folder, checkpoints) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let checkpoint = with_checkpoint.then(|| checkpoints.path());
        put(folder.path(), "a", "a\n", 1)?;
        put(folder.path(), "b", "b\n", 2)?;
        let first = live(folder.path(), checkpoint, new_files_only, 10)?;
        assert_eq!(first, if new_files_only { vec![] } else { vec!["a", "b"] });
        let log = logged.take();
        let expected =
            format!("2 files in `{}` were there before the start and are left", folder.path().display());
        let lines =
            log.lines().filter(|line| line.contains(&expected) && line.contains("new_files_only(false)"));
        assert_eq!(lines.count(), usize::from(new_files_only), "{log}");

        // While the program is down.
        put(folder.path(), "c", "c\n", 15)?;
        let second = live(folder.path(), checkpoint, new_files_only, 20)?;
        let expected = match (with_checkpoint, new_files_only) {
            (true, _) => vec!["c"],
            (false, true) => vec![],
            (false, false) => vec!["a", "b", "c"],
        };
        assert_eq!(second, expected);
        assert_eq!(said(), usize::from(!with_checkpoint && new_files_only));
    }
    Ok(())
}
