//! `train_on`: the model as the state of an operator.

use std::{any::type_name, fmt, slice, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Model, ModelError, ModelHandle, Next, Part, handle::Claim};
use crate::{
    Rdd,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, Migration, Stateful, decode},
    exec::run,
    plan::OpMeta,
    table::FEW,
};

/// The key of the only entry that a checkpoint has of a model.
const ENTRY: &str = "model";

/// The operator that trains a model. It has the model to itself as long as it is there.
pub struct Trainer<M: Model> {
    model: ModelHandle<M>,
    migration: Migration<M::State>,
    /// Whether the checkpoint does not have the model as it is.
    unwritten: bool,
    _claim: Option<Arc<Claim>>,
}

impl<M: Model> fmt::Debug for Trainer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("unwritten", &self.unwritten).finish_non_exhaustive()
    }
}

impl<M: Model> Trainer<M> {
    /// Trains this model; `None` as the claim only where the pipeline is refused for that.
    pub(crate) fn new(model: &ModelHandle<M>, claim: Option<Arc<Claim>>) -> Trainer<M> {
        Trainer { model: model.clone(), migration: Migration::default(), unwritten: true, _claim: claim }
    }

    /// How the state of an older program, of another type, becomes that of this one.
    pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> M::State + Send + 'static) {
        self.migration = Migration::from::<Old, _>(fingerprint::<Old>(), f);
    }

    /// Learns a batch, and yields the model.
    ///
    /// If that fails, the batch is lost to the model, and all later answers would be those of another one. So
    /// later batches fail with the same error, until a restart resumes from the last checkpoint.
    pub fn step(&mut self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<M::Example>>) -> Step<Rdd<M>> {
        match self.learn(batch, op, input) {
            Ok(model) => {
                self.model.set(Ok(model.clone()));
                self.unwritten = true;
                let here = batch.owns_first().then_some(model);
                Ok(Rdd::from_partitions([here.into_iter().collect()]))
            }
            Err(Missing::NotDue) => Err(Missing::NotDue),
            Err(Missing::Failed(failure)) => {
                batch.lose(&failure);
                self.model.set(Err(Missing::Failed(failure.clone())));
                Err(Missing::Failed(failure))
            }
        }
    }

    fn learn(&self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<M::Example>>) -> Step<M> {
        // What failed before goes to the other processes, too, which wait for this one.
        let begin = match (input, self.model.for_batch()) {
            (Err(Missing::NotDue), _) => return Err(Missing::NotDue),
            (_, Err(failed)) | (Err(failed), Ok(_)) => Err(failed),
            (Ok(input), Ok(model)) => Ok((input.into_vecs(), M::clone(&model))),
        };
        let (examples, mut model) = match begin {
            Ok(begin) => begin,
            Err(failed) => {
                batch.share::<Vec<M::Summary>>(op, Err(failed.clone()))?;
                return Err(failed);
            }
        };
        let few = examples.iter().map(Vec::len).sum::<usize>() < FEW;
        let mut round = 0;
        loop {
            let parts = run(examples.iter().enumerate().collect(), few, |(partition, examples)| {
                let part = Part { round, partition, examples };
                refused(batch, op, batch.guard(slice::from_ref(op), || model.summarize(part)))
            });
            let parts: Step<Vec<_>> = parts.into_iter().collect();
            let parts = batch.share(op, parts)?.into_iter().flatten().collect();
            let next = batch.guard(slice::from_ref(op), || model.update(round, parts));
            match refused(batch, op, next)? {
                Next::Round => round += 1,
                Next::Done => return Ok(model),
            }
        }
    }
}

/// What a model says, or why it says nothing.
pub(crate) fn refused<T>(batch: &Batch<'_>, op: &OpMeta, said: Step<Result<T, ModelError>>) -> Step<T> {
    said?.map_err(|error| {
        let message = error.to_string();
        batch.failed_from(op, message, Arc::new(error))
    })
}

fn fingerprint<S>() -> String {
    format!("model<{}>", type_name::<S>())
}

impl<M: Model> Stateful for Trainer<M> {
    fn fingerprint(&self) -> String {
        fingerprint::<M::State>()
    }

    fn changes(&mut self, out: &mut Changes) {
        // A model that has lost a batch must not reach the disk, which has the last one that is right.
        if let Ok(model) = self.model.for_batch()
            && std::mem::take(&mut self.unwritten)
        {
            if self.migration.is_converted() {
                out.clear();
            }
            out.put(ENTRY, &model.state());
        }
    }

    fn begin_restore(&mut self, stored: &str) {
        self.migration.begin_restore(stored, &self.fingerprint());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let key: String = decode(key)?;
        if key != ENTRY {
            return Err(format!("found an entry `{key}`, expected only `{ENTRY}`"));
        }
        let state = self.migration.read(value)?;
        let mut model = M::clone(&self.model.latest());
        model.restore(state).map_err(|error| error.to_string())?;
        self.model.set(Ok(model));
        self.unwritten = self.migration.is_converted();
        Ok(())
    }

    fn is_converted(&self) -> bool {
        self.migration.is_converted()
    }
}
