//! Outputs that are written with async code.

use std::{
    collections::BTreeMap,
    future::pending,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use dstream::{
    clock::CancellationToken,
    prelude::*,
    sink::{Async, AsyncSink, Begin, Partition, SinkBatch, SinkError},
    testing::{ManualClock, SinkFixture, TestSource, check_sink},
};

const NOW: Time = Time::from_millis(1_000_000_000);
const LONG: Duration = Duration::from_secs(10);

/// Only one context of a process may be started, so the tests of started ones take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(outcome: dstream::Result<()>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

/// Says when it is dropped.
struct Guard(mpsc::Sender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[test]
fn closures_are_waited_for_in_the_order_of_batches() -> dstream::Result<()> {
    let out = Mutex::new(Vec::new());
    let (mut calls, sums) = (0, Arc::new(Mutex::new(Vec::new())));
    let kept = sums.clone();
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 2], vec![3]]);
        // What it captures, it borrows.
        nums.foreach_rdd_async(async |rdd, time| -> Result<(), SinkError> {
            let late = tokio::time::timeout(Duration::from_millis(1), pending::<()>()).await;
            assert!(late.is_err());
            let sum = tokio::spawn(async move { rdd.iter().sum::<u64>() }).await?;
            out.lock().map_err(|_| "poisoned")?.push((time, sum));
            Ok(())
        });
        nums.foreach_rdd_async(async |rdd| {
            tokio::task::yield_now().await;
            calls += rdd.count();
        });
        // As a closure that returns a future.
        nums.map(|n| n * 10).foreach_rdd_async(|rdd| {
            let kept = kept.clone();
            async move {
                tokio::task::yield_now().await;
                kept.lock().unwrap().push(rdd.iter().sum::<u64>());
            }
        });
    })?;
    ssc.run_batches(2)?;
    assert_eq!(*sums.lock().unwrap(), [30, 30]);
    Ok(())
}

#[test]
fn errors_are_retried_skipped_and_returned_as_those_of_other_outputs() {
    let (clock, calls) = (ManualClock::new(NOW), Arc::new(AtomicU32::new(0)));
    let called = calls.clone();
    let at_once = Retry::new().attempts(3).delays(Duration::ZERO, Duration::ZERO);
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().clock(clock), {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.foreach_rdd_async(
            async |_rdd| {
                tokio::task::yield_now().await;
                match called.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    _ => Ok(()),
                }
            },
            retry = at_once,
        );
        nums.map(|n| n + 1)
            .foreach_rdd_async(async |_rdd| Err::<(), _>("no table"), on_error = OnError::Skip);
        nums.map(|n| n + 2).foreach_rdd_async(async |_rdd| Err::<(), _>("no database"));
    })
    .unwrap();
    let error = failed(ssc.run_batches(1));
    assert!(error.contains("`foreach_rdd_async`") && error.contains("no database"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_panic_fails_its_output_alone() {
    let other = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.foreach_rdd_async(async |rdd| assert!(rdd.is_empty(), "not empty"));
        nums.collect_to(&other);
    })
    .unwrap();
    assert!(failed(ssc.run_batches(1)).contains("not empty"));
    assert_eq!(other.values(), [[1]]);
}

/// A stop drops what waits, and what was spawned; the batch is neither done nor skipped.
#[test]
fn a_stop_cancels_what_runs() {
    let _turn = turn();
    let clock = ManualClock::new(NOW);
    let (begun, has_begun) = mpsc::channel();
    let (spawned, spawned_end) = mpsc::channel();
    let (awaited, awaited_end) = mpsc::channel();
    let source = TestSource::new();
    source.push(vec![1u64]);
    let conf = Config::new().clock(clock.clone()).handle_signals(false);
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        source.foreach_rdd_async(
            async |_rdd| {
                let guard = Guard(spawned.clone());
                tokio::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                let _guard = Guard(awaited.clone());
                let _ = begun.send(());
                pending::<()>().await;
            },
            on_error = OnError::Skip,
        );
    })
    .unwrap();
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(NOW + Duration::from_secs(1)));
    clock.advance(Duration::from_secs(1));
    assert_eq!(has_begun.recv_timeout(LONG), Ok(()));
    ssc.stop();
    assert_eq!(awaited_end.recv_timeout(LONG), Ok("dropped"));
    assert_eq!(spawned_end.recv_timeout(LONG), Ok("dropped"));
    let error = failed(ssc.await_termination());
    assert!(error.contains("it was cancelled, since the context stops"), "{error}");
}

/// A source with something left when the context stops.
fn stepped_with_one_batch_left(
    timeout: Duration,
    output: impl AsyncFnMut() + Send + 'static,
) -> (StreamingContext, TestSource<u64>) {
    let source = TestSource::new();
    let (input, mut output) = (source.clone(), output);
    let conf = Config::new().clock(ManualClock::new(NOW)).graceful_stop_timeout(timeout);
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        input.foreach_rdd_async(async |_rdd| output().await);
    })
    .unwrap();
    ssc.run_batches(0).unwrap();
    source.push(vec![1]);
    (ssc, source)
}

#[test]
fn a_graceful_stop_waits_for_the_last_batch_that_is_stepped() {
    let (done, is_done) = mpsc::channel();
    let (ssc, _source) = stepped_with_one_batch_left(LONG, async move || {
        let late = tokio::time::timeout(Duration::from_millis(1), pending::<()>()).await;
        let _ = done.send(late.is_err());
    });
    ssc.stop_gracefully();
    assert_eq!(is_done.try_recv(), Ok(true));
    assert_eq!(failed(ssc.await_termination()), "");
}

#[test]
fn a_graceful_stop_of_what_is_stepped_has_a_limit() {
    let (ssc, _source) = stepped_with_one_batch_left(Duration::from_millis(1), async || pending().await);
    ssc.stop_gracefully();
    assert!(failed(ssc.await_termination()).contains("it was cancelled"));
}

/// A database with async calls. Clones are the same.
#[derive(Clone, Default)]
struct Database(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    rows: Vec<u64>,
    batches: BTreeMap<(String, String, Time), usize>,
    broken: bool,
    closed: u32,
}

impl Database {
    async fn connect(&self) -> MutexGuard<'_, Contents> {
        tokio::task::yield_now().await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(batch: &SinkBatch) -> (String, String, Time) {
    (batch.context().application().to_owned(), batch.context().output().to_owned(), batch.time())
}

struct Table(Database);

impl AsyncSink<u64> for Table {
    type Part = Vec<u64>;

    async fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let written = batch.may_be_written() && self.0.connect().await.batches.contains_key(&key(batch));
        Ok(if written { Begin::AlreadyWritten } else { Begin::Write })
    }

    async fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
        let rows = partition.iter().copied().collect();
        Ok(tokio::spawn(async move { rows }).await?)
    }

    async fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
        let mut database = self.0.connect().await;
        if database.broken {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        let rows = parts.concat();
        database.batches.insert(key(batch), rows.len());
        database.rows.extend(rows);
        Ok(())
    }

    async fn close(&mut self) {
        self.0.connect().await.closed += 1;
    }
}

struct Tables(Database);

impl SinkFixture for Tables {
    type Record = u64;
    type Sink = Async<Table>;

    fn sink(&mut self) -> Async<Table> {
        Async::new(Table(self.0.clone()))
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        self.0.0.lock().unwrap().rows.clone()
    }

    fn disturb(&mut self, broken: bool) -> bool {
        self.0.0.lock().unwrap().broken = broken;
        true
    }
}

#[test]
fn an_async_sink_conforms() {
    assert_eq!(check_sink(Tables(Database::default())), Ok(()));
}

fn with_table(database: &Database) -> StreamingContext {
    let table = Async::new(Table(database.clone()));
    dstream::stream!(batch = 1s, name = "app", {
        queue_stream(vec![vec![1u64, 2, 3], vec![4]]).repartition(2).write_to(table, retry = Retry::never());
    })
    .unwrap()
}

#[test]
fn an_async_sink_is_written_and_closed() {
    let database = Database::default();
    let ssc = with_table(&database);
    ssc.run_batches(2).unwrap();
    ssc.stop();
    let mut database = database.0.lock().unwrap();
    database.rows.sort_unstable();
    assert_eq!((database.rows.as_slice(), database.closed), (&[1, 2, 3, 4][..], 1));
}

/// As in a `#[tokio::main]`: no runtime may block a thread of another one, or be dropped there.
#[test]
fn a_context_runs_and_stops_inside_of_another_runtime() {
    let database = Database::default();
    let outer = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    outer.block_on(async {
        let ssc = with_table(&database);
        ssc.run_batches(2).unwrap();
        ssc.stop();
    });
    assert_eq!(database.0.lock().unwrap().closed, 1);
}

/// A future is woken from wherever.
#[test]
fn a_future_is_woken_by_a_thread_that_is_not_the_runtimes() -> dstream::Result<()> {
    let (token, done) = (CancellationToken::new(), CancellationToken::new());
    let (waits, setter) = (token.clone(), token);
    let is_done = done.clone();
    let (begun, has_begun) = mpsc::channel();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).foreach_rdd_async(async |_rdd| {
            let _ = begun.send(());
            waits.cancelled().await;
            done.cancel();
        });
    })?;
    let thread = thread::spawn(move || has_begun.recv_timeout(LONG).map(|()| setter.cancel()));
    ssc.run_batches(1)?;
    assert!(is_done.is_cancelled() && thread.join().is_ok());
    Ok(())
}
