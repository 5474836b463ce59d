//! What a program says in its log, without being asked: that batches fall behind, and what a stop gives up.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use dstream::{Config, Time, prelude::*, testing::ManualClock};
use tracing_subscriber::fmt::format::FmtSpan;

const LONG: Duration = Duration::from_secs(10);

/// The log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines that contain `text`.
    fn lines(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8_lossy(&self.bytes()).into_owned();
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An empty log. Only one context of a process may be started, so these tests take turns.
fn log() -> (Log, MutexGuard<'static, ()>) {
    static LOG: OnceLock<Log> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .init();
        log
    });
    log.bytes().clear();
    (log.clone(), turn)
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn config(clock: &ManualClock) -> Config {
    Config::new().threads(2).handle_signals(false).clock(clock.clone())
}

#[test]
fn batches_that_fall_behind_say_so_and_when_they_have_caught_up() -> dstream::Result<()> {
    let (log, _turn) = log();
    let clock = ManualClock::new(at(0));
    let (slow, out, conf) = (clock.clone(), Collected::new(), config(&clock));
    let mut batches = 0;
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = queue_stream((0..10).map(|n| vec![n]).collect::<Vec<_>>());
        numbers.foreach_rdd(|_rdd| {
            batches += 1;
            // The first three take longer than the interval, the others no time.
            if batches <= 3 {
                slow.advance(Duration::from_millis(2500));
            }
        });
        numbers.collect_to(&out);
    })?;
    ssc.start()?;
    assert!(clock.wait_for_waiter(at(1_000)));
    clock.set(at(1_000));
    // The eighth ends at 8.5 s, half a second after its time.
    assert!(out.wait_for(8, LONG));
    clock.set(at(9_000));
    assert!(out.wait_for(9, LONG));
    ssc.stop();
    let behind = log.lines("batches are behind");
    assert_eq!(behind.len(), 2, "{behind:?}");
    assert!(
        behind[0].contains("took 2.5s at an interval of 1s, and ended 2.5s after its time"),
        "{behind:?}"
    );
    assert!(behind[1].contains("ended 5.5s after its time"), "{behind:?}");
    assert_eq!(log.lines("have caught up").len(), 1);
    Ok(())
}

#[test]
fn a_stop_says_what_it_gives_up() -> dstream::Result<()> {
    let (log, _turn) = log();
    let clock = ManualClock::new(at(0));
    let conf = config(&clock).graceful_stop_timeout(Duration::from_millis(20));
    let (gate, opened) = mpsc::channel::<()>();
    let (begun, wait) = mpsc::channel();
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        queue_stream(vec![vec![1], vec![2], vec![3]]).foreach_rdd(|_rdd| {
            let _ = begun.send(());
            let _ = opened.recv();
        });
    })?;
    ssc.start()?;
    assert!(clock.wait_for_waiter(at(1_000)));
    clock.set(at(3_000));
    assert!(clock.wait_for_waiter(at(4_000)));
    assert!(wait.recv_timeout(LONG).is_ok());
    ssc.stop_gracefully();
    let given_up = log.lines("the stop gives up 2 batches that have not begun");
    assert_eq!(given_up.len(), 1, "{:?}", log.lines(""));
    assert!(given_up[0].contains("with 2 blocks of queue_stream"), "{given_up:?}");
    assert!(given_up[0].ends_with("the batch that still runs; it is lost, since there is no checkpoint"));
    // The batch that still runs writes to the log when it ends: the next test begins after that, when nothing
    // is left of the pipeline.
    drop((gate, ssc));
    assert_eq!(wait.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    Ok(())
}

/// A batch is a span, and a stage is one within it; one that fails says how.
#[test]
fn batches_and_stages_are_spans() -> dstream::Result<()> {
    let (log, _turn) = log();
    let ssc = dstream::stream!(batch = 1s, conf = config(&ManualClock::default()), {
        let quotients = queue_stream(vec![vec![1u64, 2], vec![0]]).map(|n| 6 / n).filter(|n| *n > 0);
        quotients.foreach_rdd(|_| tracing::info!("an output runs"));
    })?;
    assert!(ssc.run_batches(2).is_err());
    ssc.stop();
    let ended = log.lines(": close");
    let shown = format!("{ended:#?}");
    assert_eq!(ended.len(), 4, "{shown}");
    assert!(
        ended[0].contains("batch{time=1000}:stage{pipeline=0 stage=0 operators=queue_stream, map, filter"),
        "{shown}"
    );
    assert!(ended[0].contains("blocks=1}: dstream_core"), "{shown}");
    assert!(ended[1].contains("batch{time=1000}: dstream_core"), "{shown}");
    assert!(ended[2].contains("blocks=1 error=") && ended[2].contains("divide by zero"), "{shown}");
    assert!(ended[3].contains("batch{time=2000 error=") && !ended[3].contains(":stage"), "{shown}");
    assert!(log.lines("an output runs")[0].contains("batch{time=1000}: "), "{shown}");
    Ok(())
}
