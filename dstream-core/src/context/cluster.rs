//! Several processes that run one program: process 0 leads, and the others follow it.
//!
//! Process 0 has the batch clock and plans the sources, writes the checkpoint, and runs the outputs. It
//! announces each batch when that has begun. Every process then runs the same stages over its part of the
//! blocks and keeps the state of its key groups; at the end of a batch the others send what has changed in
//! theirs. So one commit, by one process, has a batch of all processes or nothing of it.
//!
//! A process that is lost ends the context in all others: nothing of the batch is committed, and when all are
//! started again they go on from the last one that was.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    batch_queue::{BatchQueue, DoneOnDrop, run_batch},
    checkpoints::restore_following,
    generator::Generator,
    inner::{ContextInner, Run},
    planners::Planners,
    regulator::Regulator,
};
use crate::{
    Error, JobError, Result, Time,
    batch::Pipeline,
    checkpoint::{Changes, SentChanges, decode, encode},
    clock::CancellationToken,
    exchange::{Exchange, ExchangeError, ExchangeStep, Role},
};

/// For how long process 0 waits at its end until the others know.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Behind all batches.
const LAST: Time = Time::from_millis(u64::MAX);

/// The changes of the operators of one process, by their names.
pub(super) type OperatorChanges = Vec<(String, Changes)>;

/// What process 0 tells the others.
#[derive(Serialize, Deserialize)]
enum Announcement {
    Start(Start),
    Batch {
        time: Time,
        zero: Time,
        /// By number of the source, the plan of which every process has a part.
        inputs: Vec<Option<Bytes>>,
    },
    End {
        error: Option<String>,
    },
}

/// What all processes must agree on before the first batch.
#[derive(Serialize, Deserialize)]
struct Start {
    version: String,
    pipelines: u32,
    interval: Duration,
    seed: u64,
    to_end: bool,
    /// The number of the checkpoint from which process 0 goes on.
    checkpoint: Option<u64>,
}

/// What a process answers: why it can't take part, if so.
#[derive(Serialize, Deserialize)]
struct Ready {
    refusal: Option<String>,
}

/// What a process says at the end of a batch.
#[derive(Serialize, Deserialize)]
struct Done {
    failed: Option<String>,
    /// Whether it has been told to stop.
    stops: bool,
    changes: Vec<(String, SentChanges)>,
}

/// What the other processes had at the end of a batch.
#[derive(Default)]
pub(super) struct Others {
    /// The first failure, as that of this process.
    pub(super) failure: Option<JobError>,
    /// By process.
    pub(super) changes: Vec<OperatorChanges>,
}

impl ContextInner {
    /// What this process does, once the context is started.
    pub(super) fn role(&self) -> Role {
        self.role.get().copied().unwrap_or(Role::Alone)
    }

    /// From now on this process is one of those of its [`Exchange`].
    pub(super) fn take_role(&self) -> Role {
        *self.role.get_or_init(|| Role::in_cluster(self.config.exchange.as_deref()))
    }

    fn cluster(&self) -> Option<(&dyn Exchange, Role)> {
        let role = self.role();
        self.config.exchange.as_deref().filter(|_| role != Role::Alone).map(|exchange| (exchange, role))
    }

    /// In process 0, before the first batch: waits until all others are ready for it.
    pub(super) fn lead(&self, to_end: bool) -> Result<()> {
        let Some((exchange, Role::Leader { of })) = self.cluster() else { return Ok(()) };
        exchange.connect(&self.stopping).map_err(Error::Exchange)?;
        let start = Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pipelines: self.pipelines_digest(),
            interval: self.interval,
            seed: self.seed(),
            to_end,
            checkpoint: self.continued(),
        };
        announce(exchange, &Announcement::Start(start))?;
        let answers = exchange.exchange(&step(Time::default(), "start"), vec![Bytes::new(); of]);
        for (process, answer) in answers.map_err(Error::Exchange)?.iter().enumerate().skip(1) {
            let Ready { refusal } = read(process, answer)?;
            if let Some(refusal) = refusal {
                return Err(Error::Exchange(ExchangeError::with(
                    process,
                    format!("can't take part: {refusal}"),
                )));
            }
        }
        Ok(())
    }

    /// In process 0: the batch has begun.
    pub(super) fn announce_batch(&self, time: Time, zero: Time) -> Result<()> {
        let Some((exchange, Role::Leader { .. })) = self.cluster() else { return Ok(()) };
        let inputs = self.lock().inputs.clone();
        let inputs = inputs.iter().map(|input| input.divided(time)).collect();
        announce(exchange, &Announcement::Batch { time, zero, inputs })
    }

    /// In process 0: no further batch comes. Who is not there any more need not know. After a stop, waits for a
    /// while until the others know, for whom this process would else be one that is lost.
    pub(super) fn announce_end(&self, error: Option<String>) {
        let Some((exchange, Role::Leader { of })) = self.cluster() else { return };
        let stops = error.is_none();
        if announce(exchange, &Announcement::End { error }).is_err() || !stops {
            return;
        }
        let Some(exchange) = self.config.exchange.clone() else { return };
        let (known, wait) = mpsc::channel();
        let tell = move || {
            // Who has ended by now knows, or never will.
            let _ = exchange.exchange(&step(LAST, "the end"), vec![Bytes::new(); of]);
            let _ = known.send(());
        };
        if self.config.runtime.spawn("dstream-end", tell).is_ok() {
            let _ = wait.recv_timeout(END_TIMEOUT);
        }
    }

    /// At the end of a batch: process 0 learns what all others have, and the others, that they all are there.
    pub(super) fn end_together(
        self: &Arc<ContextInner>,
        time: Time,
        broken: Option<ExchangeError>,
        failure: Option<&JobError>,
    ) -> Result<Others> {
        let Some((exchange, role)) = self.cluster() else { return Ok(Others::default()) };
        if let Some(broken) = broken {
            return Err(Error::Exchange(broken));
        }
        let (_, processes) = role.place();
        let mut messages = vec![Bytes::new(); processes];
        if role.is_follower() {
            let changes = self.changes();
            let done = Done {
                failed: failure.map(|failure| failure.to_string()),
                stops: self.lock().stop_begun,
                changes: changes.into_iter().map(|(name, changes)| (name, changes.into())).collect(),
            };
            messages[0] = write(&done)?;
        }
        let received =
            exchange.exchange(&step(time, "end of the batch"), messages).map_err(Error::Exchange)?;
        let mut others = Others::default();
        if role.is_follower() {
            return Ok(others);
        }
        for (process, message) in received.iter().enumerate().skip(1) {
            let Done { failed, stops, changes } = read(process, message)?;
            let changes = changes
                .into_iter()
                .map(|(name, sent)| Changes::try_from(sent).map(|changes| (name, changes)))
                .collect::<Result<OperatorChanges, String>>();
            others.changes.push(changes.map_err(|what| unreadable(process, &what))?);
            if let Some(failed) = failed {
                let message = format!("process {process}: {failed}");
                let operator = "the batch of another process".to_owned();
                others.failure.get_or_insert(JobError {
                    time,
                    operator,
                    file: file!(),
                    line: line!(),
                    message,
                    cause: None,
                });
            }
            if stops && !self.lock().stop_begun {
                crate::logs::info!("process {process} has been told to stop: all processes stop gracefully");
                self.apart(|inner| inner.stop(true));
            }
        }
        Ok(others)
    }

    /// In a process that follows: waits for process 0, and gets ready for the first batch.
    fn join(&self, to_end: bool) -> Result<()> {
        let Some((exchange, role)) = self.cluster() else { return Ok(()) };
        let (processes, stop) = (role.place().1, &self.stopping);
        exchange.connect(stop).map_err(Error::Exchange)?;
        let start = match self.announced(exchange, stop)? {
            Some(Announcement::Start(start)) => start,
            Some(Announcement::End { error }) => {
                let why = error.unwrap_or_else(|| "it was told to stop".to_owned());
                return Err(Error::Exchange(ExchangeError::with(0, format!("has not started: {why}"))));
            }
            Some(Announcement::Batch { .. }) => return Err(unreadable(0, "a batch before the start")),
            None => return Err(Error::State("this context has been stopped while it started".into())),
        };
        let ready = self.check_start(&start, to_end).and_then(|()| self.prepare(&start));
        let refusal = ready.as_ref().err().map(Error::to_string);
        let mut messages = vec![Bytes::new(); processes];
        messages[0] = write(&Ready { refusal })?;
        let answered = exchange.exchange(&step(Time::default(), "start"), messages);
        ready?;
        answered.map(drop).map_err(Error::Exchange)
    }

    fn check_start(&self, start: &Start, to_end: bool) -> Result<()> {
        let differs = if start.version != env!("CARGO_PKG_VERSION") {
            format!(
                "process 0 has version {} of dstream, this one {}",
                start.version,
                env!("CARGO_PKG_VERSION")
            )
        } else if start.interval != self.interval {
            format!("process 0 has a batch interval of {:?}, this one of {:?}", start.interval, self.interval)
        } else if start.pipelines != self.pipelines_digest() {
            "its pipelines are not those of process 0".to_owned()
        } else if start.to_end != to_end {
            "one of them is run by `run_to_end`, the other by `start`".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("{differs}: all processes must run the same program")))
    }

    fn prepare(&self, start: &Start) -> Result<()> {
        self.seed.get_or_init(|| start.seed);
        self.start_inputs(None, start.to_end)?;
        let storage = self.lock().checkpoint.clone();
        match (start.checkpoint, storage) {
            (Some(number), Some(storage)) => restore_following(self, &*storage.store, number),
            (Some(_), None) => Err(Error::Invalid(
                "process 0 goes on from a checkpoint, and this process has none: give all of them the same one"
                    .into(),
            )),
            (None, _) => Ok(()),
        }
    }

    /// Starts a context that follows process 0.
    pub(super) fn start_following(self: &Arc<ContextInner>, pipelines: Vec<Pipeline>) -> Result<()> {
        self.tell_started()?;
        self.join(false)?;
        let queue = Arc::new(BatchQueue::default());
        // What a stop waits for; process 0 plans the batches.
        let planners = Arc::new(Planners::spawn(&self.config.runtime, &[], &queue)?);
        let regulator = Arc::new(Regulator::new(&self.config, self.interval, &[]));
        let (first, watch) = (Time::default(), &self.watch);
        let generator = Generator::new(
            &self.config,
            self.interval,
            Arc::clone(&planners),
            regulator,
            first,
            watch,
            &queue,
        );
        let mut lifecycle = self.lock();
        if lifecycle.stop_begun {
            return Err(Error::State("this context has been stopped while it started".into()));
        }
        let run = Run { queue: Arc::clone(&queue), planners, generator: Arc::new(generator) };
        lifecycle.run = Some(run);
        let inner = Arc::clone(self);
        self.config
            .runtime
            .spawn("dstream-driver", move || {
                let _done = DoneOnDrop(&queue);
                let outcome = inner.exec.enter(|| {
                    let mut pipelines = pipelines;
                    inner.follow(&mut pipelines, &queue.abandoned, |failure| inner.report(failure))
                });
                match outcome {
                    Ok(()) => inner.apart(|inner| inner.stop(true)),
                    Err(error) => inner.end_by(error),
                }
            })
            .map(drop)
            .map_err(|error| Error::io("the thread that runs the batches can't be started", error))
    }

    /// Runs a batch job as process 0 says, in the calling thread.
    pub(super) fn follow_to_end(self: &Arc<ContextInner>, mut pipelines: Vec<Pipeline>) -> Result<()> {
        self.tell_started()?;
        self.join(true)?;
        let mut first = Ok(());
        self.exec.enter(|| {
            self.follow(&mut pipelines, &self.stopping, |failure| {
                first = first.clone().and(Err(failure));
            })
        })?;
        first
    }

    /// Runs the batches that process 0 announces, until it ends or `stop` is cancelled. Batches that fail are
    /// `failed`; process 0 decides what follows from it.
    fn follow(
        self: &Arc<ContextInner>,
        pipelines: &mut [Pipeline],
        stop: &CancellationToken,
        mut failed: impl FnMut(Error),
    ) -> Result<()> {
        let Some((exchange, _)) = self.cluster() else { return Ok(()) };
        let inputs = self.lock().inputs.clone();
        while let Some(announced) = self.announced(exchange, stop)? {
            match announced {
                Announcement::Batch { time, zero, inputs: plans } => {
                    self.zero.get_or_init(|| zero);
                    for (at, input) in inputs.iter().enumerate() {
                        input.replay(time, plans.get(at).and_then(Option::as_deref))?;
                    }
                    match run_batch(self, pipelines, time) {
                        Err(error @ Error::Exchange(_)) => return Err(error),
                        Err(error) => failed(error),
                        Ok(()) => {}
                    }
                }
                Announcement::End { error: None } => {
                    let messages = vec![Bytes::new(); exchange.processes()];
                    let _ = exchange.exchange(&step(LAST, "the end"), messages);
                    return Ok(());
                }
                Announcement::End { error: Some(error) } => {
                    return Err(Error::Exchange(ExchangeError::with(0, format!("has ended: {error}"))));
                }
                Announcement::Start(_) => return Err(unreadable(0, "a second start")),
            }
        }
        Ok(())
    }

    fn announced(&self, exchange: &dyn Exchange, stop: &CancellationToken) -> Result<Option<Announcement>> {
        let message = exchange.announcement(stop).map_err(Error::Exchange)?;
        message.map(|message| read(0, &message)).transpose()
    }

    /// A number that differs where pipelines do.
    fn pipelines_digest(&self) -> u32 {
        crc32fast::hash(format!("{:?}", self.lock().plans).as_bytes())
    }
}

fn step(batch: Time, what: &'static str) -> ExchangeStep<'static> {
    // Behind all steps of the operators.
    ExchangeStep { batch, number: u32::MAX, operator: what, file: "", line: 0 }
}

fn announce(exchange: &dyn Exchange, announcement: &Announcement) -> Result<()> {
    exchange.announce(write(announcement)?).map_err(Error::Exchange)
}

fn write<T: Serialize>(message: &T) -> Result<Bytes> {
    encode(message).map(Bytes::from).map_err(|what| Error::Exchange(ExchangeError::new(what)))
}

fn read<T: serde::de::DeserializeOwned>(process: usize, message: &[u8]) -> Result<T> {
    decode(message).map_err(|what| unreadable(process, &what))
}

fn unreadable(process: usize, what: &str) -> Error {
    let message = format!(
        "has sent something that this process can't read ({what}): all processes must run the same program"
    );
    Error::Exchange(ExchangeError::with(process, message))
}
