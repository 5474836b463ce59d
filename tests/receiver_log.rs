//! What receivers have acknowledged is processed once, whenever the program ends.
//!
//! A crash is a copy of the checkpoint's folder: what a process finds that is started after `kill -9`.

use std::{
    error::Error,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver as Channel, Sender},
    },
    time::Duration,
};

use dstream::{
    StreamingContext,
    prelude::*,
    receiver::{Receiver, ReceiverContext, Volatile, WalBlock},
    testing::ManualClock,
};

const LONG: Duration = Duration::from_secs(10);

/// Stores the blocks that it is sent, and answers whether they may be acknowledged. An empty block stores its
/// records one by one.
struct Mail<B> {
    name: &'static str,
    blocks: Arc<Mutex<Channel<B>>>,
    answers: Sender<bool>,
}

impl<B: WalBlock + 'static> Receiver for Mail<B> {
    type Block = B;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<B>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let blocks = self.blocks.lock().map_err(|error| error.to_string())?;
        while !ctx.is_stopping() {
            match blocks.recv_timeout(Duration::from_millis(5)) {
                Ok(block) => self.answers.send(ctx.store_block(block))?,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => ctx.stop(),
            }
        }
        Ok(())
    }
}

/// The other end.
struct Sends<B> {
    blocks: Sender<B>,
    answers: Channel<bool>,
}

impl<B> Sends<B> {
    /// Sends a block, which must be acknowledged.
    fn send(&self, block: B) {
        assert!(self.blocks.send(block).is_ok());
        assert_eq!(self.answers.recv_timeout(LONG), Ok(true));
    }
}

fn mail<B>(name: &'static str) -> (Mail<B>, Sends<B>) {
    let ((blocks, receive), (answer, answers)) = (mpsc::channel(), mpsc::channel());
    (Mail { name, blocks: Arc::new(Mutex::new(receive)), answers: answer }, Sends { blocks, answers })
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// The folder as a new process finds it.
fn crash(checkpoint: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (entry, to) = (entry?, to);
            match entry.file_type()?.is_dir() {
                true => copy(&entry.path(), &to.join(entry.file_name()))?,
                false => drop(fs::copy(entry.path(), to.join(entry.file_name()))?),
            }
        }
        Ok(())
    }
    let to = folder();
    copy(checkpoint, to.path()).unwrap_or_else(|error| panic!("{error}"));
    to
}

fn log_files(checkpoint: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(checkpoint.join("log")).into_iter().flatten().flatten();
    let mut files: Vec<_> = files.map(|file| file.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

struct Life {
    ssc: StreamingContext,
    out: Collected<u32>,
    clock: ManualClock,
    /// Dropped behind the program that lives there.
    _dir: Option<tempfile::TempDir>,
}

/// A program with one receiver of numbers.
fn life<B>(checkpoint: &Path, receiver: Mail<B>, conf: Config, forget: Vec<String>) -> dstream::Result<Life>
where
    B: WalBlock + 'static,
    for<'a> B: dstream::source::Block<Record<'a> = u32>,
{
    let (out, clock) = (Collected::new(), ManualClock::new(Time::from_millis(4_000_000_000_000)));
    let conf = conf.clock(clock.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, forget = forget, {
        receiver.collect_to(&out);
    })?;
    ssc.run_batches(0)?;
    Ok(Life { ssc, out, clock, _dir: None })
}

fn numbers(checkpoint: &Path) -> dstream::Result<(Life, Sends<Vec<u32>>)> {
    let (receiver, sends) = mail("numbers");
    Ok((life(checkpoint, receiver, Config::new(), vec![])?, sends))
}

/// The program that is started after a crash.
fn after_crash(checkpoint: &Path) -> dstream::Result<(Life, Sends<Vec<u32>>)> {
    let dir = crash(checkpoint);
    numbers(dir.path()).map(|(life, sends)| (Life { _dir: Some(dir), ..life }, sends))
}

#[test]
fn acknowledged_blocks_come_back_until_their_batch_is_done() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    sends.send(vec![1, 2]);
    sends.send(vec![3]);
    // Before there is any checkpoint, and once more after a crash in that state.
    for _ in 0..2 {
        let crashed = crash(dir.path());
        let (second, _sends) = numbers(crashed.path())?;
        let again = crash(crashed.path());
        second.ssc.run_batches(2)?;
        assert_eq!(second.out.values(), [vec![1, 2, 3], vec![]]);
        let (third, _sends) = numbers(again.path())?;
        third.ssc.run_batches(1)?;
        assert_eq!(third.out.values(), [vec![1, 2, 3]]);
        // That batch is done.
        let (fourth, sends) = after_crash(again.path())?;
        sends.send(vec![9]);
        fourth.ssc.run_batches(1)?;
        assert_eq!(fourth.out.values(), [vec![9]]);
    }
    first.ssc.run_batches(1)?;
    sends.send(vec![4]);
    let (next, sends) = after_crash(dir.path())?;
    sends.send(vec![5]);
    next.ssc.run_batches(2)?;
    assert_eq!(next.out.values(), [vec![4, 5], vec![]]);
    let times = |life: &Life| life.out.batches().iter().map(|(time, _)| time.as_millis()).max();
    assert_eq!(times(&next), times(&first).map(|time| time + 2_000));
    Ok(())
}

/// A program that crashes in the middle of its first batch, when more blocks have come.
#[test]
fn a_begun_batch_runs_again_over_the_same_blocks() -> dstream::Result<()> {
    let dir = folder();
    let (receiver, sends) = mail("numbers");
    let (sends, checkpoint) = (Arc::new(Mutex::new(sends)), dir.path().to_owned());
    let send = {
        let sends = Arc::clone(&sends);
        move |block: Vec<u32>| sends.lock().map(|sends| sends.send(block)).unwrap_or_else(|e| panic!("{e}"))
    };
    let (moment, crashes) = mpsc::channel();
    let in_batch = send.clone();
    let conf = Config::new().clock(ManualClock::new(Time::from_millis(4_000_000_000_000)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = dir.path(), {
        receiver.foreach_rdd(move |rdd, _| {
            in_batch(vec![3]);
            moment.send((rdd.collect(), crash(&checkpoint)))
        });
    })?;
    ssc.run_batches(0)?;
    send(vec![1]);
    send(vec![2]);
    ssc.run_batches(1)?;
    let (records, crashed) = crashes.recv().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(records, [1, 2]);
    for _ in 0..2 {
        let again = crash(crashed.path());
        let (second, sends) = numbers(again.path())?;
        sends.send(vec![4]);
        second.ssc.run_batches(2)?;
        assert_eq!(second.out.values(), [vec![1, 2], vec![3, 4]]);
        drop(second);
        // All of it is done.
        let (third, _sends) = numbers(again.path())?;
        third.ssc.run_batches(1)?;
        assert_eq!(third.out.values(), [Vec::<u32>::new()]);
    }
    Ok(())
}

/// Records of an open block, which nobody waits for.
struct Single(Channel<u32>, Sender<bool>);

impl Receiver for Single {
    type Block = Vec<u32>;

    fn name(&self) -> String {
        "numbers".to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<u32>>) -> Result<(), Box<dyn Error + Send + Sync>> {
        while !ctx.is_stopping() {
            if let Ok(record) = self.0.recv_timeout(Duration::from_millis(5)) {
                self.1.send(ctx.store(record))?;
            }
        }
        Ok(())
    }
}

#[test]
fn single_records_are_in_the_log_when_their_block_is_closed() -> dstream::Result<()> {
    let dir = folder();
    let ((send, records), (answer, stored)) = (mpsc::channel(), mpsc::channel());
    let (receiver, checkpoint) = (Single(records, answer), dir.path().to_owned());
    let clock = ManualClock::new(Time::from_millis(4_000_000_000_000));
    let (moment, crashes) = mpsc::channel();
    let conf = Config::new().clock(clock.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = dir.path(), {
        receiver.foreach_rdd(move |rdd, _| moment.send((rdd.collect(), crash(&checkpoint))));
    })?;
    ssc.run_batches(0)?;
    let store = |record: u32| {
        assert!(send.send(record).is_ok());
        assert_eq!(stored.recv_timeout(LONG), Ok(true));
    };
    store(1);
    store(2);
    // Nothing is written before the block is closed.
    assert!(log_files(dir.path()).is_empty());
    // The thread that closes blocks counts from the moment at which it starts.
    assert!(clock.wait_for_waiter(Time::from_millis(4_000_000_000_200)));
    clock.advance(Duration::from_millis(200));
    let written = || {
        let (life, _sends) = after_crash(dir.path())?;
        life.ssc.run_batches(1).map(|()| life.out.values().concat())
    };
    let deadline = std::time::Instant::now() + LONG;
    while written()? != [1, 2] {
        assert!(std::time::Instant::now() < deadline, "the block is not in the log");
    }
    store(3);
    ssc.run_batches(1)?;
    let (records, crashed) = crashes.recv().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(records, [1, 2, 3]);
    let (second, _sends) = numbers(crashed.path())?;
    second.ssc.run_batches(2)?;
    assert_eq!(second.out.values(), [vec![1, 2, 3], vec![]]);
    Ok(())
}

#[test]
fn a_graceful_stop_leaves_nothing_in_the_log() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    sends.send(vec![1]);
    first.ssc.stop_gracefully();
    assert_eq!(first.out.values(), [vec![1]]);
    let (second, sends) = numbers(dir.path())?;
    sends.send(vec![2]);
    // An immediate one does.
    second.ssc.stop();
    let (third, _sends) = numbers(dir.path())?;
    // Blocks that are only in the log are received, too.
    third.ssc.stop_gracefully();
    assert_eq!((second.out.values(), third.out.values()), (vec![], vec![vec![2]]));
    let (fourth, _sends) = numbers(dir.path())?;
    fourth.ssc.run_batches(1)?;
    assert_eq!(fourth.out.values(), [Vec::<u32>::new()]);
    Ok(())
}

/// The message of a program that can't be started.
fn refusal<T>(life: dstream::Result<T>) -> String {
    life.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_blocks_of_a_receiver_that_is_gone_need_consent() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    sends.send(vec![1]);
    first.ssc.run_batches(1)?;
    sends.send(vec![2]);
    let dir = crash(dir.path());
    let renamed = |forget: Vec<String>| {
        let (receiver, sends) = mail::<Vec<u32>>("renamed");
        life(dir.path(), receiver, Config::new(), forget).map(|life| (life, sends))
    };
    let error = refusal(renamed(vec![]));
    assert!(
        error.contains("` holds blocks of `numbers`") && error.contains(r#"forget = ["numbers"]"#),
        "{error}"
    );
    // A refusal loses nothing.
    let (second, _sends) = after_crash(dir.path())?;
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values(), [vec![2]]);
    let (third, sends) = renamed(vec!["numbers".to_owned()])?;
    sends.send(vec![3]);
    third.ssc.run_batches(1)?;
    assert_eq!(third.out.values(), [vec![3]]);
    drop(third);
    // Said once, it is done; and a receiver of that name may come back.
    let (fourth, sends) = renamed(vec![])?;
    fourth.ssc.run_batches(1)?;
    sends.send(vec![4]);
    fourth.ssc.stop_gracefully();
    let (fifth, sends) = numbers(dir.path())?;
    sends.send(vec![5]);
    let (sixth, _sends) = after_crash(dir.path())?;
    for life in [fifth, sixth] {
        life.ssc.run_batches(1)?;
        assert_eq!(life.out.values(), [vec![5]]);
    }
    Ok(())
}

#[test]
fn changed_types_are_an_error_before_anything_runs() -> dstream::Result<()> {
    let dir = folder();
    let (receiver, sends) = mail::<Vec<String>>("numbers");
    let conf = Config::new().clock(ManualClock::new(Time::from_millis(4_000_000_000_000)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = dir.path(), { receiver.print() })?;
    ssc.run_batches(0)?;
    sends.send(vec!["one".to_owned()]);
    ssc.stop();
    let error = refusal(numbers(dir.path()));
    assert!(error.contains("block 0") && error.contains("/log-00000000000000000001`"), "{error}");
    assert!(error.contains(r#"forget = ["numbers"]"#), "{error}");
    let (receiver, _sends) = mail::<Volatile<Vec<u32>>>("numbers");
    let error = refusal(life(dir.path(), receiver, Config::new(), vec![]));
    assert!(error.contains("`Volatile` now"), "{error}");
    let (receiver, _sends) = mail::<Vec<u32>>("numbers");
    let forgotten = life(dir.path(), receiver, Config::new(), vec!["numbers".to_owned()])?;
    forgotten.ssc.run_batches(1)?;
    assert_eq!(forgotten.out.values(), [Vec::<u32>::new()]);
    Ok(())
}

#[test]
fn a_log_that_is_turned_off_is_read_and_not_written() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    sends.send(vec![1]);
    let dir = crash(dir.path());
    drop(first);
    let files = log_files(dir.path());
    let without = || {
        let (receiver, sends) = mail::<Vec<u32>>("numbers");
        let life = life(dir.path(), receiver, Config::new().write_ahead_log(false), vec![]);
        life.map(|life| (life, sends))
    };
    let (second, sends) = without()?;
    sends.send(vec![2]);
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values(), [vec![1, 2]]);
    sends.send(vec![3]);
    second.ssc.stop();
    let (third, _sends) = without()?;
    third.ssc.run_batches(1)?;
    assert_eq!((third.out.values(), log_files(dir.path())), (vec![Vec::<u32>::new()], files));
    Ok(())
}

#[test]
fn what_is_not_for_the_log_is_not_in_it() -> dstream::Result<()> {
    let dir = folder();
    let (receiver, sends) = mail::<Volatile<Vec<u32>>>("numbers");
    let first = life(dir.path(), receiver, Config::new(), vec![])?;
    sends.send(Volatile(vec![1]));
    first.ssc.run_batches(1)?;
    sends.send(Volatile(vec![2]));
    first.ssc.stop();
    assert_eq!((first.out.values(), log_files(dir.path())), (vec![vec![1]], vec![]));
    Ok(())
}

#[test]
fn files_of_the_log_are_deleted_when_no_checkpoint_needs_them() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    let mut most = 0;
    for n in 0..30 {
        // Old enough for a new file.
        first.clock.advance(Duration::from_secs(61));
        sends.send(vec![n]);
        first.ssc.run_batches(1)?;
        most = most.max(log_files(dir.path()).len());
    }
    // Three checkpoints can be gone back to, and a batch makes two.
    assert!((2..=4).contains(&most), "{most}");
    sends.send(vec![100]);
    let (second, _sends) = after_crash(dir.path())?;
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values(), [vec![100]]);
    Ok(())
}

/// The newest checkpoint may be damaged: then the blocks since the one before it are needed once more.
#[test]
fn an_older_checkpoint_finds_its_blocks() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    for n in 0..10 {
        first.clock.advance(Duration::from_secs(61));
        sends.send(vec![n]);
        first.ssc.run_batches(1)?;
    }
    let dir = crash(dir.path());
    let checkpoints = || {
        let files = fs::read_dir(dir.path()).into_iter().flatten().flatten().map(|file| file.path());
        let is_checkpoint = |path: &std::path::PathBuf| path.to_string_lossy().contains("checkpoint-");
        files.filter(is_checkpoint).max()
    };
    let damage =
        || checkpoints().map(|newest| fs::write(newest, "")).transpose().unwrap_or_else(|e| panic!("{e}"));
    // The end of batch 9: it has begun, and runs once more.
    damage();
    let crashed = crash(dir.path());
    let (second, _sends) = numbers(crashed.path())?;
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values(), [vec![9]]);
    drop(second);
    checkpoints().map(fs::remove_file).transpose().unwrap_or_else(|e| panic!("{e}"));
    // Its beginning, too: the log still has its block, but what else may have been in the batch nobody knows.
    damage();
    let error = refusal(numbers(crash(dir.path()).path()));
    assert!(error.contains("`numbers` gives its records again, but in later batches"), "{error}");
    let crashed = crash(dir.path());
    let (receiver, _sends) = mail::<Vec<u32>>("numbers");
    let third = life(crashed.path(), receiver, Config::new().accept_older_checkpoint(true), vec![])?;
    third.ssc.run_batches(1)?;
    assert_eq!(third.out.values(), [vec![9]]);
    Ok(())
}

#[test]
fn damage_of_the_log_names_the_file() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    for n in 0..4 {
        first.clock.advance(Duration::from_secs(if n == 2 { 61 } else { 0 }));
        sends.send(vec![n]);
    }
    let whole = crash(dir.path());
    drop(first);
    let [one, two] = &log_files(whole.path())[..] else { panic!("{:?}", log_files(whole.path())) };
    let damaged = |file: &Path, damage: &dyn Fn(&mut Vec<u8>)| {
        let before = fs::read(file).unwrap_or_else(|error| panic!("{error}"));
        let mut bytes = before.clone();
        damage(&mut bytes);
        fs::write(file, bytes).unwrap_or_else(|error| panic!("{error}"));
        let life = after_crash(whole.path());
        fs::write(file, before).unwrap_or_else(|error| panic!("{error}"));
        let (life, _sends) = life?;
        life.ssc.run_batches(1)?;
        Ok(life.out.values().concat())
    };
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 4);
    let truncate = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 2);
    for (file, damage) in [
        (one, &flip(9) as &dyn Fn(&mut Vec<u8>)),
        (one, &flip(100)),
        (one, &truncate),
        (one, &|bytes: &mut Vec<u8>| *bytes = b"dear sir".to_vec()),
        (one, &|bytes: &mut Vec<u8>| *bytes = fs::read(two).unwrap_or_default()),
        (two, &flip(100)),
    ] {
        let error = refusal(damaged(file, damage));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(error.contains(&name), "{name}: {error}");
    }
    // An append that did not end was not acknowledged.
    assert_eq!(damaged(two, &truncate)?, [0, 1, 2]);
    assert_eq!(damaged(two, &|_: &mut Vec<u8>| {})?, [0, 1, 2, 3]);
    Ok(())
}

/// What was acknowledged is not left out as a file that can't be read is: its batch fails, and a restart runs
/// it again.
#[test]
fn a_log_that_is_lost_while_the_program_runs_fails_the_batch() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    sends.send(vec![1]);
    let dir = crash(dir.path());
    drop(first);
    let (second, sends) = numbers(dir.path())?;
    let files = log_files(dir.path());
    let saved: Vec<_> = files.iter().map(|file| fs::read(file).unwrap_or_default()).collect();
    files.iter().for_each(|file| fs::remove_file(file).unwrap_or_else(|error| panic!("{error}")));
    let error = refusal(second.ssc.run_batches(1));
    assert!(error.contains("log-00000000000000000001` is missing"), "{error}");
    sends.send(vec![2]);
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values(), [vec![2]]);
    files
        .iter()
        .zip(saved)
        .for_each(|(file, bytes)| fs::write(file, bytes).unwrap_or_else(|error| panic!("{error}")));
    let (third, _sends) = after_crash(dir.path())?;
    third.ssc.run_batches(2)?;
    assert_eq!(third.out.values(), [vec![1], vec![2]]);
    Ok(())
}

/// What is read back is not in memory before it is processed, so a buffer that is smaller than the log is
/// enough.
#[test]
fn more_comes_back_than_a_receiver_may_hold() -> dstream::Result<()> {
    let dir = folder();
    let (first, sends) = numbers(dir.path())?;
    let blocks: Vec<Vec<u32>> = (0..50u32).map(|n| vec![n; 1000]).collect();
    blocks.iter().for_each(|block| sends.send(block.clone()));
    let dir = crash(dir.path());
    drop(first);
    let (receiver, sends) = mail::<Vec<u32>>("numbers");
    let second = life(dir.path(), receiver, Config::new().receiver_buffer_bytes(5_000), vec![])?;
    sends.send(vec![7; 1000]);
    second.ssc.run_batches(1)?;
    assert_eq!(second.out.values().concat(), [blocks.concat(), vec![7; 1000]].concat());
    Ok(())
}
