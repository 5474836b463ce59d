//! One damaged file of many: a restart gives exactly what it had, or says what going back would lose. It
//! never goes back in silence.

use std::{
    error::Error as StdError,
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver as Channel, Sender},
    time::Duration,
};

use dstream::{
    prelude::*,
    receiver::{Receiver, ReceiverContext},
    testing::ManualClock,
};

const BATCHES: usize = 23;
const KEYS: u64 = 3;

type Outcome<T> = Result<T, Box<dyn StdError>>;

fn conf() -> Config {
    Config::new().threads(1).partitions(2).clock(ManualClock::new(Time::from_millis(500)))
}

/// Counts how often each of three keys was seen, with as many bytes beside; the sum of the counts.
fn count(folder: &Path, batches: usize, bytes: usize, conf: Config) -> dstream::Result<u64> {
    let sum = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = folder, {
        let pairs = generator_stream(KEYS, |n| (n % KEYS, 1u64));
        let seen = pairs.update_state_by_key(move |new: &[u64], old: Option<(u64, String)>| {
            let (before, text) = old.unwrap_or_else(|| (0, "x".repeat(bytes)));
            Some((before + new.iter().sum::<u64>(), text))
        });
        seen.map(|(_, (n, _))| *n).reduce(|a, b| a + b).collect_to(&sum);
    })?;
    ssc.run_batches(batches)?;
    Ok(sum.values().concat().last().copied().unwrap_or(0))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?
        } else {
            fs::copy(entry.path(), to).map(drop)?
        }
    }
    Ok(())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| {
        path.to_string_lossy().contains("checkpoint-") || path.to_string_lossy().contains("merged-")
    });
    files.sort_by_key(|path| path.to_string_lossy().rsplit('-').next().map(str::to_owned));
    Ok(files)
}

/// Damages a file in one of four ways.
fn damage(file: &Path, way: usize) -> io::Result<()> {
    let mut bytes = fs::read(file)?;
    let at = bytes.len() * (way % 8 + 1) / 9;
    match way / 8 {
        0 => bytes[at] ^= 1 << (way % 8),
        1 => bytes.truncate(at),
        2 => bytes.clear(),
        _ => return fs::remove_file(file),
    }
    fs::write(file, bytes)
}

const WAYS: [usize; 4] = [3, 8, 16, 24];

/// A damaged file is named; that the newest is missing can't be seen.
fn named(error: &dstream::Error, file: &Path) -> bool {
    error.to_string().contains(&*file.to_string_lossy())
}

#[test]
fn no_damaged_file_takes_a_program_back_in_silence() -> Outcome<()> {
    // A state that fits into each checkpoint, and one that is spread over many files.
    for (bytes, least) in [(0, 6), (30_000, 60)] {
        let (whole, damaged) = (tempfile::tempdir()?, tempfile::tempdir()?);
        count(whole.path(), BATCHES, bytes, conf())?;
        // As an operator that starts and stops, with a tail of small checkpoints.
        let before = (0..20).try_fold(0, |_, _| count(whole.path(), 1, bytes, conf()))?;
        let files = files(whole.path())?;
        // A merged file may have been written behind it.
        let newest = files.iter().rposition(|file| file.to_string_lossy().contains("checkpoint-"));
        let (mut exact, mut refused) = (0, 0);
        for (number, file) in files.iter().enumerate() {
            for way in WAYS {
                let folder = damaged.path().join(format!("{number}-{way}"));
                copy(whole.path(), &folder)?;
                let file = folder.join(file.file_name().unwrap_or_default());
                damage(&file, way)?;
                match count(&folder, 1, bytes, conf()) {
                    Ok(sum) => {
                        // The newest is the end of a batch, which runs again and gives what it gave.
                        let rerun = Some(number) == newest && sum == before;
                        assert!(rerun || sum == before + KEYS, "{file:?} {way}: {sum}, before {before}");
                        exact += 1;
                    }
                    Err(error) => {
                        assert!(named(&error, &file), "{file:?} {way}: {error}");
                        refused += 1;
                    }
                }
                fs::remove_dir_all(folder)?;
            }
        }
        assert!(exact > least, "{exact} of {}, {refused} refused", files.len() * WAYS.len());
    }
    Ok(())
}

/// Stores the blocks that it is sent, and answers when they are in the log.
struct Mail(Channel<u64>, Sender<bool>);

impl Receiver for Mail {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "mail".to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<u64>>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        while !ctx.is_stopping() {
            if let Ok(number) = self.0.recv_timeout(Duration::from_millis(1)) {
                self.1.send(ctx.store_block(vec![number]))?;
            }
        }
        Ok(())
    }
}

/// Sums up what it receives, a number between two batches; the totals by the times of their batches.
fn received(folder: &Path, numbers: std::ops::Range<u64>, conf: Config) -> dstream::Result<Vec<(u64, u64)>> {
    let (send, sent) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let (mail, totals) = (Mail(sent, answer), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = folder, {
        let total = mail
            .map(|n| ((), n))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        total.map(|(_, total)| *total).collect_to(&totals);
    })?;
    ssc.run_batches(1)?;
    for number in numbers {
        assert!(send.send(number).is_ok());
        assert_eq!(answers.recv_timeout(Duration::from_secs(60)), Ok(true));
        ssc.run_batches(1)?;
    }
    let batches = totals.batches().into_iter();
    Ok(batches.filter_map(|(time, values)| Some((time.as_millis(), *values.first()?))).collect())
}

#[test]
fn what_receivers_had_comes_again_or_is_said_to_be_lost() -> Outcome<()> {
    let (whole, damaged) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let before = received(whole.path(), 1..BATCHES as u64, conf())?;
    let files = files(whole.path())?;
    let mut exact = 0;
    for (number, file) in files.iter().enumerate() {
        for way in WAYS {
            let folder = damaged.path().join(format!("{number}-{way}"));
            copy(whole.path(), &folder)?;
            let file = folder.join(file.file_name().unwrap_or_default());
            damage(&file, way)?;
            match received(&folder, 100..101, conf()) {
                Ok(after) => {
                    // A batch that runs again gives what it gave.
                    assert!(
                        after.iter().all(|(time, total)| before.iter().all(|(t, n)| t != time || n == total)),
                        "{file:?} {way}: {after:?}, before {before:?}"
                    );
                    let (last, now) = (before.last().map(|b| b.1), after.last().map(|b| b.1));
                    assert_eq!(now, last.map(|last| last + 100), "{file:?} {way}");
                    exact += 1;
                }
                Err(error) => assert!(named(&error, &file), "{file:?} {way}: {error}"),
            }
            fs::remove_dir_all(folder)?;
        }
    }
    // The newest is the end of a batch, which runs again from its beginning.
    assert_eq!(exact, files.len() * WAYS.len());
    Ok(())
}

#[test]
fn going_back_over_batches_needs_consent() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    received(folder.path(), 1..10, conf())?;
    let all = files(folder.path())?;
    let [.., kept, begun, newest] = &all[..] else { panic!("{all:?}") };
    damage(newest, 16)?;
    damage(begun, 3)?;
    let error = received(folder.path(), 100..101, conf()).map_err(|error| error.to_string());
    let Err(error) = error else { panic!("it went back") };
    let expected = [
        format!("`{}` is the newest checkpoint that is whole", kept.display()),
        format!("`{}` is empty", newest.display()),
        "batch".to_owned(),
        "`mail` gives its records again, but in later batches".to_owned(),
        "`Config::accept_older_checkpoint(true)`".to_owned(),
    ];
    for part in expected {
        assert!(error.contains(&part), "{part}: {error}");
    }
    assert_eq!(files(folder.path())?, all, "an error deletes nothing");
    let totals = received(folder.path(), 100..101, conf().accept_older_checkpoint(true))?;
    assert_eq!(totals.last().map(|(_, total)| *total), Some(45 + 100));

    // Without the beginning of the log, what is missing is said, and can be done without.
    let folder = tempfile::tempdir()?;
    received(folder.path(), 1..10, conf())?;
    let all = files(folder.path())?;
    let newest = all.last().ok_or("no files")?;
    damage(newest, 16)?;
    for entry in fs::read_dir(folder.path().join("log"))? {
        fs::remove_file(entry?.path())?;
    }
    let error = received(folder.path(), 100..101, conf()).map_err(|error| error.to_string());
    let lost = "`mail` loses what it had received for them, of which its log does not have all any more";
    assert!(error.as_ref().is_err_and(|e| e.contains(lost)), "{error:?}");
    let totals = received(folder.path(), 100..101, conf().accept_older_checkpoint(true))?;
    assert_eq!(totals.last().map(|(_, total)| *total), Some(36 + 100));
    Ok(())
}
