//! Windows without keys: `window` and `count_by_window`.

use std::any::type_name;

use super::{WindowSpec, batches::WindowBatches};
use crate::{
    Rdd, Time,
    batch::{Batch, Step},
    checkpoint::{Changes, Stateful, decode, estimate::outside_bytes},
    exchange::Part,
    plan::OpMeta,
    record::Portable,
};

/// The window of `window`, which stores the records of its batches.
#[derive(Debug)]
pub struct RecordWindow<T> {
    batches: WindowBatches<Rdd<T>>,
}

impl<T> RecordWindow<T> {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        RecordWindow { batches: WindowBatches::new(spec) }
    }

    /// Adds a batch. If the window is due, returns the partitions of its batches, oldest first, without
    /// copying them.
    pub fn step(&mut self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<T>>) -> Step<Rdd<T>> {
        if let Some(rdd) = self.batches.advance(batch, input)? {
            self.batches.push(batch, rdd);
        }
        self.batches.check_complete(batch, op)?;
        Ok(Rdd::concat(self.batches.partials()))
    }
}

impl<T: Portable> Stateful for RecordWindow<T> {
    fn fingerprint(&self) -> String {
        format!("window<{}>", type_name::<T>())
    }

    fn changes(&mut self, out: &mut Changes) {
        self.batches.changes(out, |_, rdd| rdd.partitions().collect::<Vec<_>>());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let partitions: Option<Vec<Vec<T>>> = decode(value)?;
        if let Some(stored) = self.batches.decode_key(key, Part::has_start_of)? {
            self.batches.restore(stored, partitions.map(Rdd::from_partitions));
        }
        Ok(())
    }

    fn finish_restore(&mut self) -> Result<(), String> {
        self.batches.finish_restore(true, |before, after| Rdd::concat([&before, &after]));
        Ok(())
    }

    fn keys(&self) -> Option<u64> {
        Some(
            self.batches
                .partials()
                .map(|rdd| rdd.partitions().map(|records| records.len() as u64).sum::<u64>())
                .sum(),
        )
    }

    fn estimated_bytes(&self) -> Option<u64> {
        let records = self.keys().unwrap_or(0) as usize;
        let sample = self.batches.partials().flat_map(Rdd::partitions).flat_map(|records| records.first());
        let inline = size_of::<T>();
        Some((records * inline) as u64 + outside_bytes(records, inline, sample))
    }

    fn oldest(&mut self) -> Option<Time> {
        self.batches.oldest()
    }
}

/// The window of `count_by_window`, which stores the number of records of each batch.
#[derive(Debug)]
pub struct CountByWindow {
    batches: WindowBatches<u64>,
}

impl CountByWindow {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        CountByWindow { batches: WindowBatches::new(spec) }
    }

    /// Adds the count of a batch. If the window is due, returns the sum of its counts.
    pub fn step(&mut self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<u64>>) -> Step<Rdd<u64>> {
        if let Some(counts) = self.batches.advance(batch, input)? {
            self.batches.push(batch, counts.iter().sum());
        }
        self.batches.check_complete(batch, op)?;
        let sum = batch.owns_first().then(|| self.batches.partials().sum());
        Ok(Rdd::from_partitions([sum.into_iter().collect()]))
    }
}

impl Stateful for CountByWindow {
    fn fingerprint(&self) -> String {
        "count_by_window".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        self.batches.changes(out, |_: Time, count| *count);
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if let Some(stored) = self.batches.decode_key(key, Part::has_start_of)? {
            self.batches.restore(stored, decode(value)?);
        }
        Ok(())
    }

    fn finish_restore(&mut self) -> Result<(), String> {
        self.batches.finish_restore(true, |a, b| a + b);
        Ok(())
    }

    fn keys(&self) -> Option<u64> {
        Some(self.batches.partials().count() as u64)
    }

    fn estimated_bytes(&self) -> Option<u64> {
        self.keys().map(|batches| batches * size_of::<(Time, u64)>() as u64)
    }

    fn oldest(&mut self) -> Option<Time> {
        self.batches.oldest()
    }
}
