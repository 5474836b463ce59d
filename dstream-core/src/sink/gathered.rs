//! What an output gets: where several processes run the program, the batch of all of them, in process 0.

use std::iter;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Rdd,
    batch::{Batch, Step},
    exchange::Wire,
    output::Output,
};

/// The batch of an output, before it is known whether its records can be sent.
///
/// Expansions call `(&Gathering(&step)).gather(..)`. The compiler takes the first of the traits below that
/// fits: [`Gather`] where the type of the records is known to be serialisable, else [`GatherNothing`].
#[derive(Debug)]
pub struct Gathering<'a, T>(pub &'a Step<Rdd<T>>);

/// For records that can be sent to process 0.
pub trait Gather<'a, T> {
    /// Brings the batch to process 0; in the others it is empty then.
    fn gather(&self, batch: &Batch<'_>, output: &Output) -> Gathered<'a, T>;
}

/// For records that may have no serialised form.
pub trait GatherNothing<'a, T> {
    /// The batch of process 0, if no other process has a record; else an error.
    fn gather(&self, batch: &Batch<'_>, output: &Output) -> Gathered<'a, T>;
}

/// What an output gets.
#[derive(Debug)]
pub enum Gathered<'a, T> {
    /// The process is alone.
    Own(&'a Step<Rdd<T>>),
    /// What all processes had.
    All(Step<Rdd<T>>),
}

impl<T> Gathered<'_, T> {
    /// The batch.
    pub fn step(&self) -> &Step<Rdd<T>> {
        match self {
            Gathered::Own(step) => step,
            Gathered::All(step) => step,
        }
    }
}

/// A partition, of so many in the process.
#[derive(Serialize, Deserialize)]
struct SentPartition<T> {
    at: usize,
    of: usize,
    records: Vec<T>,
}

impl<T: Serialize + DeserializeOwned + Send> Wire for SentPartition<T> {
    fn is_nothing(&self) -> bool {
        self.records.is_empty()
    }
}

impl<'a, T: Serialize + DeserializeOwned + Clone + Send + Sync> Gather<'a, T> for Gathering<'a, T> {
    fn gather(&self, batch: &Batch<'_>, output: &Output) -> Gathered<'a, T> {
        if batch.others().is_none() {
            return Gathered::Own(self.0);
        }
        let tasks = self.0.clone().map(|rdd| {
            let of = rdd.num_partitions();
            let partitions = rdd.into_vecs().into_iter().enumerate();
            partitions.map(|(at, records)| SentPartition { at, of, records }).collect()
        });
        let own = tasks.as_ref().map_or(0, Vec::len);
        let gathered = batch.gather(&output.op, tasks);
        Gathered::All(gathered.map(|all| whole(own, all.unwrap_or_default())))
    }
}

impl<'a, T> GatherNothing<'a, T> for &Gathering<'a, T> {
    fn gather(&self, batch: &Batch<'_>, output: &Output) -> Gathered<'a, T> {
        if batch.others().is_none() {
            return Gathered::Own(self.0);
        }
        // Such as the models of `train_on`, or what comes from a source of process 0.
        let counts = match batch.share(&output.op, self.0.as_ref().map_err(Clone::clone).map(Rdd::count)) {
            Ok(counts) => counts,
            Err(missing) => return Gathered::All(Err(missing)),
        };
        if counts.iter().skip(1).all(|count| *count == 0) {
            return Gathered::Own(self.0);
        }
        Gathered::All(Err(batch.failed(
            &output.op,
            "its records can't be sent to process 0, which has all outputs: their type is not known to implement serde's \
             `Serialize` and `DeserializeOwned` here. Derive them for it, or, in a generic function, ask for them"
                .to_owned(),
        )))
    }
}

/// Puts together what the processes had: behind a shuffle each partition is in one of them, under the same
/// number everywhere; else those of a process are behind those of the one before it.
fn whole<T>(own: usize, mut all: Vec<SentPartition<T>>) -> Rdd<T> {
    all.retain(|sent| !sent.records.is_empty());
    let mut partitions: Vec<Vec<T>> = iter::repeat_with(Vec::new).take(own).collect();
    let mut taken = vec![false; own];
    let fits = all.iter().all(|sent| {
        sent.of == own && taken.get_mut(sent.at).is_some_and(|taken| !std::mem::replace(taken, true))
    });
    if !fits {
        return Rdd::from_partitions(all.into_iter().map(|sent| sent.records));
    }
    for sent in all {
        partitions[sent.at] = sent.records;
    }
    Rdd::from_partitions(partitions)
}
