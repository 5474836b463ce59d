//! The settings of a context.

use std::{sync::Arc, thread, time::Duration};

use crate::{
    Error, JobError, Result,
    backoff::backoff,
    backpressure::{Backpressure, OnBehind},
    checkpoint::{IntoCheckpointStore, Storage},
    clock::{Clock, SystemClock},
    events::{Bus, Listener},
    exchange::{self, Exchange},
    plan::Setting,
    report::Reports,
    threads::Threads,
};

/// The name of an application that gives itself none.
pub(crate) const UNNAMED: &str = "dstream";

/// What follows when a batch fails, that is, when one of its outputs or operators returns an error or panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The batch's other outputs and later batches run.
    /// [`await_termination`](crate::StreamingContext::await_termination) returns the failure, once: a program
    /// that calls it again waits on, for the next one or the end.
    #[default]
    Continue,
    /// The batch's other outputs run, but no later batch: the context stops, as by
    /// [`stop`](crate::StreamingContext::stop).
    Stop,
}

/// The settings of a [`StreamingContext`](crate::StreamingContext); `Config::new()` has the defaults.
///
/// Values that can't work are refused when the context is made.
///
/// ```
/// use dstream::{Config, StreamingContext};
/// use std::time::Duration;
///
/// let config = Config::new().threads(2).receiver_buffer_bytes(64 << 20);
/// let ssc = StreamingContext::with_config(Duration::from_secs(1), config)?;
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings have an effect where they are given to a context: `conf = ..`"]
pub struct Config {
    pub(crate) name: String,
    pub(crate) threads: usize,
    pub(crate) partitions: usize,
    partitions_given: bool,
    pub(crate) block_interval: Duration,
    pub(crate) max_block_bytes: usize,
    pub(crate) receiver_buffer_bytes: usize,
    pub(crate) max_line_bytes: usize,
    pub(crate) write_ahead_log: bool,
    pub(crate) max_rate: Option<u64>,
    backpressure: Option<Backpressure>,
    pub(crate) on_behind: OnBehind,
    pub(crate) max_batches_behind: Option<usize>,
    pub(crate) restart_delay: Duration,
    pub(crate) restart_delay_max: Duration,
    pub(crate) handle_signals: bool,
    pub(crate) graceful_stop_timeout: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    clock_given: bool,
    pub(crate) hash_seed: Option<u64>,
    pub(crate) accept_older_checkpoint: bool,
    pub(crate) on_failure: OnFailure,
    pub(crate) reports: Reports,
    pub(crate) listeners: Vec<Arc<dyn Listener>>,
    pub(crate) progress: bool,
    pub(crate) checkpoint: Option<Storage>,
    pub(crate) volatile_state: bool,
    pub(crate) forget: Vec<String>,
    /// Tells the listeners; of a context that is made, and nobody before.
    pub(crate) events: Bus,
    pub(crate) exchange: Option<Arc<dyn Exchange>>,
    /// Starts the threads of the context that is made.
    pub(crate) runtime: Threads,
}

impl Default for Config {
    fn default() -> Config {
        let threads = thread::available_parallelism().map_or(1, |n| n.get());
        Config {
            name: UNNAMED.to_owned(),
            threads,
            partitions: buckets_for(threads),
            partitions_given: false,
            block_interval: Duration::from_millis(200),
            max_block_bytes: 4 << 20,
            receiver_buffer_bytes: 256 << 20,
            max_line_bytes: 16 << 20,
            write_ahead_log: true,
            max_rate: None,
            backpressure: None,
            on_behind: OnBehind::default(),
            max_batches_behind: None,
            restart_delay: Duration::from_millis(500),
            restart_delay_max: Duration::from_secs(10),
            handle_signals: true,
            graceful_stop_timeout: None,
            clock: Arc::new(SystemClock),
            clock_given: false,
            hash_seed: None,
            accept_older_checkpoint: false,
            on_failure: OnFailure::default(),
            reports: Reports::default(),
            checkpoint: None,
            volatile_state: false,
            forget: Vec::new(),
            listeners: Vec::new(),
            progress: false,
            events: Bus::default(),
            exchange: None,
            runtime: Threads::default(),
        }
    }
}

/// Many more buckets than cores, so that a large one does not hold the batch.
fn buckets_for(threads: usize) -> usize {
    threads.saturating_mul(8).clamp(16, 1024)
}

impl Config {
    /// The defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// The name of the application, for messages. A checkpoint can't be gone on from under another name,
    /// unless one of the two is the default: `dstream`.
    pub fn name(mut self, name: impl Into<String>) -> Config {
        self.name = name.into();
        self
    }

    /// How many threads process batches. Receivers have threads of their own. Default: one for each core.
    pub fn threads(mut self, threads: usize) -> Config {
        self.threads = threads;
        if !self.partitions_given {
            self.partitions = buckets_for(threads);
        }
        self
    }

    /// Into how many partitions a shuffle divides the keys, where the operator does not say.
    /// Default: eight for each thread, at least 16 and at most 1,024.
    pub fn partitions(mut self, partitions: usize) -> Config {
        self.partitions = partitions;
        self.partitions_given = true;
        self
    }

    /// After what time a receiver closes the block that it fills and begins the next one, which is the next
    /// partition. Default: 200 milliseconds.
    pub fn block_interval(mut self, interval: Duration) -> Config {
        self.block_interval = interval;
        self
    }

    /// At how many bytes a receiver closes the block that it fills. Default: 4 MiB.
    pub fn max_block_bytes(mut self, bytes: usize) -> Config {
        self.max_block_bytes = bytes;
        self
    }

    /// How many bytes one receiver may hold that have not been processed yet. A receiver that has filled this
    /// waits, so that over a network the producer is slowed down. Default: 256 MiB.
    pub fn receiver_buffer_bytes(mut self, bytes: usize) -> Config {
        self.receiver_buffer_bytes = bytes;
        self
    }

    /// How many bytes a line of text may have; a longer one is cut, and what follows is the next line.
    /// Default: 16 MiB.
    pub fn max_line_bytes(mut self, bytes: usize) -> Config {
        self.max_line_bytes = bytes;
        self
    }

    /// Whether what receivers store is written to a log in the folder of the checkpoint, if there is one, so
    /// that a crash loses nothing that was acknowledged. It costs a write and a sync each
    /// [`block_interval`](Config::block_interval), and one for each batch and for each call of
    /// [`store_block`](crate::receiver::ReceiverContext::store_block), which several receivers share. Without
    /// it, what is in no finished batch is lost by a crash. What an earlier run has left in the log is
    /// processed in any case. Default: yes.
    pub fn write_ahead_log(mut self, write: bool) -> Config {
        self.write_ahead_log = write;
        self
    }

    /// How many records a second each source may give to its batches, on average. What arrives faster waits:
    /// a receiver takes no more, so that over a network the producer is slowed down, and queues and
    /// generators keep what is beyond for later batches. Files are not limited by it. A source of one's own
    /// is told by [`Limits`](crate::source::Limits). Default: no limit.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, conf = Config::new().max_rate(2), {
    ///     queue_stream(vec![vec![1, 2, 3], vec![4]]).collect_to(&out);
    /// })?;
    /// ssc.run_batches(3)?;
    /// assert_eq!(out.values(), [vec![1, 2], vec![3], vec![4]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn max_rate(mut self, records_per_second: u64) -> Config {
        self.max_rate = Some(records_per_second);
        self
    }

    /// How sources are slowed down while batches take longer than their interval, see
    /// [`backpressure`](crate::backpressure). Default: [`Backpressure::new`], with the rates of the original;
    /// none with a [`clock`](Config::clock) of one's own, since a clock that a test moves does not say how
    /// long batches take.
    ///
    /// ```
    /// use dstream::{Config, backpressure::Backpressure};
    ///
    /// let config = Config::new().backpressure(Backpressure::off());
    /// ```
    pub fn backpressure(mut self, backpressure: Backpressure) -> Config {
        self.backpressure = Some(backpressure);
        self
    }

    /// How many batches may wait for the one that is processed; what is done beyond it is
    /// [`on_behind`](Config::on_behind). Default: as many as there are with [`OnBehind::RunEach`], and one
    /// with [`OnBehind::Merge`].
    pub fn max_batches_behind(mut self, batches: usize) -> Config {
        self.max_batches_behind = Some(batches);
        self
    }

    /// What is done when more than [`max_batches_behind`](Config::max_batches_behind) batches wait. Default:
    /// [`OnBehind::RunEach`].
    ///
    /// ```
    /// use dstream::{Config, backpressure::OnBehind};
    ///
    /// // The batches of a minute that could not be processed in time are one.
    /// let config = Config::new().on_behind(OnBehind::Merge);
    /// // A program that is more than five batches late ends.
    /// let config = Config::new().on_behind(OnBehind::Stop).max_batches_behind(5);
    /// ```
    pub fn on_behind(mut self, on_behind: OnBehind) -> Config {
        self.on_behind = on_behind;
        self
    }

    /// How long to wait before a receiver that has ended is run again. Each failure in a row doubles the
    /// delay, up to [`restart_delay_max`](Config::restart_delay_max); a run that stored something ends the
    /// row. Default: 500 milliseconds.
    pub fn restart_delay(mut self, delay: Duration) -> Config {
        self.restart_delay = delay;
        self
    }

    /// The longest wait before a receiver is run again. Default: 10 seconds.
    pub fn restart_delay_max(mut self, delay: Duration) -> Config {
        self.restart_delay_max = delay;
        self
    }

    /// Whether SIGINT and SIGTERM stop the started context gracefully (a second one ends the process at
    /// once). Default: yes.
    pub fn handle_signals(mut self, handle: bool) -> Config {
        self.handle_signals = handle;
        self
    }

    /// How long a graceful stop may process what was received, in real time, before it gives up.
    /// Default: ten batch intervals, at least 10 seconds.
    pub fn graceful_stop_timeout(mut self, timeout: Duration) -> Config {
        self.graceful_stop_timeout = Some(timeout);
        self
    }

    /// Where the time comes from; tests give a [`ManualClock`](crate::testing::ManualClock).
    /// Default: the machine's clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Config {
        self.clock = Arc::new(clock);
        self.clock_given = true;
        self
    }

    /// Where checkpoints are kept: the path of a directory, or a
    /// [`CheckpointStore`](crate::checkpoint::CheckpointStore). A context that is started goes on from the
    /// checkpoint that is there. Where `stream!` makes the context, its setting `checkpoint` comes first.
    /// Default: nowhere; then a pipeline that keeps state can't be started.
    ///
    /// ```
    /// use dstream::{prelude::*, StreamingContext};
    /// use std::time::Duration;
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let folder = dir.path();
    /// let totals = Collected::new();
    /// let ssc = StreamingContext::with_config(Duration::from_secs(1), Config::new().checkpoint(folder))?;
    /// dstream::stream!(ssc, {
    ///     let clicks = queue_stream(vec![vec![("ann", 1u64)], vec![("ann", 2)]]);
    ///     let total = clicks.update_state_by_key(|new: &[u64], old| {
    ///         Some(old.unwrap_or(0) + new.iter().sum::<u64>())
    ///     });
    ///     total.collect_to(&totals);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(totals.values(), [[("ann".into(), 1)], [("ann".into(), 3)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn checkpoint(mut self, store: impl IntoCheckpointStore) -> Config {
        self.checkpoint = Some(store.into_checkpoint_store());
        self
    }

    /// Allows state that no checkpoint keeps: it is gone when the program stops, and a restart begins with
    /// none. For tests, measurements, and state that is of no use later. Default: no; a pipeline that keeps
    /// state then needs a [`checkpoint`](Config::checkpoint).
    pub fn volatile_state(mut self, allow: bool) -> Config {
        self.volatile_state = allow;
        self
    }

    /// The names of operators, sources and receivers of which the checkpoint has something that may be let
    /// go, since the program has them no more, or is to begin anew with them. Where `stream!` makes the
    /// context, its setting `forget` comes first. Default: none; what the program does not have is then an
    /// error of the start.
    pub fn forget(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Config {
        self.forget = names.into_iter().map(Into::into).collect();
        self
    }

    /// The seed of the hash that places keys in tables and partitions.
    ///
    /// Default: chosen by chance when the context is started, so that nobody who sends data can make keys
    /// collide; 0 where [`run_batches`](crate::StreamingContext::run_batches) or
    /// [`run_to_end`](crate::StreamingContext::run_to_end) drive it, so that they give the same order every
    /// time. A checkpoint keeps it: after a restart, keys go where they went.
    pub fn hash_seed(mut self, seed: u64) -> Config {
        self.hash_seed = Some(seed);
        self
    }

    /// Calls `f` with every error that costs records or time but fails no batch: a file that can't be read, a
    /// receiver that failed and will be run again. All of them are logged too. Default: they are only logged.
    ///
    /// ```
    /// use dstream::Config;
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// let failures = Arc::new(AtomicU64::new(0));
    /// let counter = failures.clone();
    /// let config = Config::new().on_report(move |_error| {
    ///     counter.fetch_add(1, Ordering::Relaxed);
    /// });
    /// ```
    pub fn on_report(mut self, f: impl Fn(&Error) + Send + Sync + 'static) -> Config {
        self.reports.on_report(f);
        self
    }

    /// What follows when a batch fails: whether the next ones run. Default: [`OnFailure::Continue`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Config {
        self.on_failure = on_failure;
        self
    }

    /// Calls `f` with every failure of a batch, once for each output that has none of its records for that
    /// reason, on the thread that runs batches. All of them are logged too. What the failure came from is its
    /// [source](std::error::Error::source), with its own type. Default: they are only logged.
    ///
    /// ```
    /// use dstream::Config;
    ///
    /// let config = Config::new().on_batch_failure(|failure| {
    ///     eprintln!("page somebody: the batch of {} failed in `{}`", failure.time, failure.operator);
    /// });
    /// ```
    pub fn on_batch_failure(mut self, f: impl Fn(&JobError) + Send + Sync + 'static) -> Config {
        self.reports.on_batch_failure(f);
        self
    }

    /// Tells `listener` what happens in the context, on a thread of its own: see [`events`](crate::events).
    /// There may be several.
    ///
    /// ```
    /// use dstream::{Config, events::{BatchCompleted, Listener}};
    ///
    /// struct Slow;
    ///
    /// impl Listener for Slow {
    ///     fn batch_completed(&self, batch: &BatchCompleted) {
    ///         if batch.processing_time.as_secs() >= 1 {
    ///             eprintln!("the batch at {} took {:?}", batch.batch, batch.processing_time);
    ///         }
    ///     }
    /// }
    ///
    /// let config = Config::new().listener(Slow);
    /// ```
    pub fn listener(mut self, listener: impl Listener) -> Config {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Whether to draw a status line on standard error, if that is a terminal: how many batches there were,
    /// how many records come in, how late the newest batch was, and what failed or waits. Default: no.
    ///
    /// ```text
    /// 1,204 batches, 52,003 records/s, 12ms of 1s, 3,402 keys
    /// ```
    pub fn progress(mut self, progress: bool) -> Config {
        self.progress = progress;
        self
    }

    /// Makes this process one of several that run the same program together: what has to meet goes through
    /// `exchange` (see [`exchange`](crate::exchange)). Default: the process is alone.
    ///
    /// Process 0 plans the batches and has the outputs. All processes need the same number of
    /// [`partitions`](Config::partitions); a difference fails the first batch with an error that names it.
    /// The crate `dstream-cluster` has an exchange between hosts. In a test, contexts that are stepped have
    /// batches of their own:
    ///
    /// ```
    /// use dstream::{Config, prelude::*, testing::{LoopbackCluster, ManualClock}};
    ///
    /// let out = Collected::new();
    /// let cluster = LoopbackCluster::new(2);
    /// std::thread::scope(|scope| {
    ///     for (process, input) in [vec!["a", "b", "a"], vec!["b", "c"]].into_iter().enumerate() {
    ///         let (out, peer) = (out.clone(), cluster.process(process));
    ///         scope.spawn(move || {
    ///             let conf = Config::new().clock(ManualClock::default()).exchange(peer);
    ///             let ssc = dstream::stream!(batch = 1s, conf = conf, {
    ///                 let words = queue_stream(vec![input]);
    ///                 words.count_by_value().collect_to(&out);
    ///             })?;
    ///             ssc.run_batches(1)
    ///         });
    ///     }
    /// });
    /// // Each word is counted once, by its owner, and put out by process 0.
    /// let mut counts = out.values().concat();
    /// counts.sort();
    /// assert_eq!(counts, [("a".into(), 2), ("b".into(), 2), ("c".into(), 1)]);
    /// ```
    pub fn exchange(mut self, exchange: impl Exchange + 'static) -> Config {
        self.exchange = Some(Arc::new(exchange));
        self
    }

    /// Whether to go on from an older checkpoint where the newest is damaged, also if records are lost by
    /// that.
    ///
    /// By itself a start goes back only within the batch that had begun, which runs again over the same
    /// records. Else it is an error, which names the damaged file, the batches that would be taken back, and
    /// what each source would lose of them. If a copy of the file can't be put back, set this for one start;
    /// what is given up is logged as an error. Default: no.
    pub fn accept_older_checkpoint(mut self, accept: bool) -> Config {
        self.accept_older_checkpoint = accept;
        self
    }

    /// The settings that say how a context runs, for its plan.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        vec![
            Setting::new("threads", self.threads),
            Setting::new("partitions", self.partitions),
            Setting::new("block_interval", self.block_interval),
            Setting::new("max_block_bytes", self.max_block_bytes),
            Setting::new("receiver_buffer_bytes", self.receiver_buffer_bytes),
            Setting::new("max_line_bytes", self.max_line_bytes),
            Setting::new("write_ahead_log", self.write_ahead_log),
            Setting::new("backpressure", self.backpressure_settings().enabled),
            Setting::new("restart_delay", self.restart_delay),
            Setting::new("restart_delay_max", self.restart_delay_max),
        ]
    }

    /// The delay before a receiver, or what it waits for, is tried again after this many failures in a row.
    pub(crate) fn retry_delay(&self, failures: u32) -> Duration {
        backoff(self.restart_delay, self.restart_delay_max, failures)
    }

    /// How sources are slowed down.
    pub(crate) fn backpressure_settings(&self) -> Backpressure {
        let by_clock = || if self.clock_given { Backpressure::off() } else { Backpressure::new() };
        self.backpressure.clone().unwrap_or_else(by_clock)
    }

    /// How many batches may wait, if there is a bound.
    pub(crate) fn batches_behind(&self) -> Option<usize> {
        self.max_batches_behind.or((self.on_behind == OnBehind::Merge).then_some(1))
    }

    fn check_behind(&self) -> Result<()> {
        let why = match (self.on_behind, self.max_batches_behind) {
            (_, Some(0)) => {
                "`max_batches_behind` is 0, but must be at least 1: a batch is planned while the one before \
                 it runs"
            }
            (OnBehind::Stop, None) => {
                "`on_behind` is `OnBehind::Stop`, but nothing says when: give `max_batches_behind` as well"
            }
            (OnBehind::Merge, _) if self.exchange.is_some() => {
                "`on_behind` is `OnBehind::Merge`, but this is one of several processes, which need the same \
                 batches"
            }
            _ => return Ok(()),
        };
        Err(Error::Invalid(why.into()))
    }

    /// Refuses what can't work.
    pub(crate) fn check(&self) -> Result<()> {
        let counts = [
            ("threads", self.threads),
            ("partitions", self.partitions),
            ("max_block_bytes", self.max_block_bytes),
            ("receiver_buffer_bytes", self.receiver_buffer_bytes),
        ];
        for (setting, found) in counts {
            if found == 0 {
                return Err(Error::Invalid(format!("`{setting}` is 0, but must be at least 1")));
            }
        }
        if self.max_rate == Some(0) {
            return Err(Error::Invalid("`max_rate` is 0, but must be at least 1".into()));
        }
        self.backpressure_settings().check()?;
        self.check_behind()?;
        if let Some(exchange) = self.exchange.as_deref() {
            exchange::check(exchange)?;
        }
        // A character has up to four bytes, and a cut never falls into one.
        if self.max_line_bytes < 4 {
            return Err(Error::Invalid(format!(
                "`max_line_bytes` is {}, but must be at least 4",
                self.max_line_bytes
            )));
        }
        let durations = [("block_interval", self.block_interval), ("restart_delay", self.restart_delay)];
        for (setting, found) in durations {
            if found < Duration::from_millis(1) {
                return Err(Error::Invalid(format!("`{setting}` is {found:?}, but must be at least 1ms")));
            }
        }
        Ok(())
    }
}
