//! dstream, as a user writes it: a pipeline a workload, over a source that yields the prepared batches.

mod join;
mod source;
mod state;
mod windows;
mod words;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use dstream::{
    Config, Rdd, Str, StreamingContext,
    rdd::{RddActions, RddOps},
};
use tempfile::TempDir;

pub(crate) use self::source::Texts;
use crate::{
    data::{Data, Text},
    workload::{Answer, Runner, Workload},
};

/// A context, and where its outputs put what came out.
pub(crate) struct Ours {
    ssc: StreamingContext,
    out: Out,
    /// Gone when the runner is.
    _checkpoint: Option<TempDir>,
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ours").finish_non_exhaustive()
    }
}

impl Ours {
    /// The pipeline of a workload; none if it keeps nothing, but is to have a checkpoint, or has no words to
    /// cut.
    pub(crate) fn new(
        workload: Workload,
        data: &Data,
        cut: Cut,
        checkpoint: bool,
    ) -> anyhow::Result<Option<Ours>> {
        use Workload::*;
        if cut == Cut::Operator && matches!(workload, W2 | W5 | W6Empty) {
            return Ok(None);
        }
        if checkpoint && matches!(workload, W1Zipf | W1Uniform | W2 | W5 | W6 | W6Empty) {
            return Ok(None);
        }
        if workload == W5 {
            let (ssc, out) = (context(None)?, Out::default());
            join::join(&ssc, data.pairs(), &out)?;
            return Ok(Some(Ours { ssc, out, _checkpoint: None }));
        }
        Ours::with(workload, Texts::new(workload.texts(data)), workload.window(data), cut, checkpoint)
            .map(Some)
    }

    /// The pipeline over these batches.
    pub(crate) fn over(
        workload: Workload,
        batches: Vec<Text>,
        window: usize,
        checkpoint: bool,
    ) -> anyhow::Result<Ours> {
        Ours::with(workload, Texts::new(batches), window, Cut::Closure, checkpoint)
    }

    /// The pipeline over batches that are made when it is their turn, from their number.
    pub(crate) fn made(
        workload: Workload,
        make: impl FnMut(u64) -> Text + Send + 'static,
    ) -> anyhow::Result<Ours> {
        Ours::with(workload, Texts::made(make), 10, Cut::Closure, false)
    }

    fn with(
        workload: Workload,
        texts: Texts,
        window: usize,
        cut: Cut,
        checkpoint: bool,
    ) -> anyhow::Result<Ours> {
        use Workload::*;
        let folder = if checkpoint { Some(tempfile::tempdir()?) } else { None };
        let ssc = context(folder.as_ref())?;
        let out = Out::default();
        macro_rules! pipeline {
            ($by:ident) => {
                match workload {
                    W1Zipf | W1Uniform | W6 | W6Empty => words::$by::count(&ssc, texts, &out),
                    W3Update => state::$by::update(&ssc, texts, &out),
                    W3UpdateReduced => state::$by::update_reduced(&ssc, texts, &out),
                    W3Map => state::$by::map(&ssc, texts, &out),
                    W3MapReduced => state::$by::map_reduced(&ssc, texts, &out),
                    W4Inverse | W4Long => windows::$by::inverse(&ssc, texts, &out, window as u32),
                    W4Max => windows::$by::longest_line(&ssc, texts, &out),
                    W2 => words::containing(&ssc, texts, &out),
                    W5 => bail!("W5 has no text"),
                    W7 => words::$by::everything(&ssc, texts, &out),
                }
            };
        }
        match cut {
            Cut::Closure => pipeline!(by_closure),
            Cut::Operator => pipeline!(by_operator),
        }?;
        Ok(Ours { ssc, out, _checkpoint: folder })
    }
}

/// What cuts lines into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// `flat_map(|line| line.split(' '))`.
    Closure,
    /// `split(b' ')`.
    Operator,
}

/// An empty context.
fn context(checkpoint: Option<&TempDir>) -> dstream::Result<StreamingContext> {
    let config = Config::new().handle_signals(false);
    let config = match checkpoint {
        None => config.volatile_state(true),
        Some(folder) => config.checkpoint(folder.path()),
    };
    StreamingContext::with_config(INTERVAL, config)
}

pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

impl Runner for Ours {
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer> {
        self.out.take();
        self.ssc.run_batches(batches)?;
        self.out.take().context("no output ran")
    }
}

/// What the outputs of a batch say, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out(Arc<Mutex<Option<Answer>>>);

impl Out {
    /// The first output of a batch: forgets the batch before.
    fn set(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// An output after the first.
    fn add(&self, answer: Answer) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.take().unwrap_or_default().and(answer));
    }

    fn take(&self) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The number of keys and the ten largest.
fn summary(rdd: &Rdd<(Str, u64)>) -> Answer {
    let top = rdd.map(|(word, n)| (*n, word.as_str())).top(10);
    Answer { counts: vec![rdd.count()], top: top.into_iter().map(|(n, word)| (n, word.to_owned())).collect() }
}
