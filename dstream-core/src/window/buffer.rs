//! Windows whose batches need nothing from one another: `window` and `count_by_window`.

use std::any::type_name;

use super::{WindowSpec, frame::Frame};
use crate::{
    Rdd, Time,
    batch::{Batch, OpMeta, Step},
    checkpoint::{Changes, Stateful, decode},
    exchange::Part,
    record::Portable,
};

/// `window`: the batches themselves.
#[derive(Debug)]
pub struct WindowOf<T> {
    frame: Frame<Rdd<T>>,
}

impl<T> WindowOf<T> {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        WindowOf { frame: Frame::new(spec) }
    }

    /// Adds a batch. If the window is due: its partitions, oldest first; they are shared, not copied.
    pub fn step(&mut self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<T>>) -> Step<Rdd<T>> {
        if let Some(rdd) = self.frame.admit(batch, input)? {
            self.frame.keep(batch, rdd);
        }
        self.frame.answer(batch, op)?;
        Ok(Rdd::concat(self.frame.partials()))
    }
}

impl<T: Portable> Stateful for WindowOf<T> {
    fn fingerprint(&self) -> String {
        format!("window<{}>", type_name::<T>())
    }

    fn changes(&mut self, out: &mut Changes) {
        self.frame.changes(out, |_, rdd| rdd.partitions().collect::<Vec<_>>());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let partitions: Option<Vec<Vec<T>>> = decode(value)?;
        if let Some(stored) = self.frame.stored(key, Part::has_start_of)? {
            self.frame.restore(stored, partitions.map(Rdd::from_partitions));
        }
        Ok(())
    }

    fn restored(&mut self) -> Result<(), String> {
        self.frame.restored(true, |before, after| Rdd::concat([&before, &after]));
        Ok(())
    }

    fn keys(&self) -> Option<u64> {
        Some(
            self.frame
                .partials()
                .map(|rdd| rdd.partitions().map(|records| records.len() as u64).sum::<u64>())
                .sum(),
        )
    }
}

/// `count_by_window`: how many records each batch had.
#[derive(Debug)]
pub struct CountByWindow {
    frame: Frame<u64>,
}

impl CountByWindow {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        CountByWindow { frame: Frame::new(spec) }
    }

    /// Adds the count of a batch. If the window is due: the sum of its counts.
    pub fn step(&mut self, batch: &Batch<'_>, op: &OpMeta, input: Step<Rdd<u64>>) -> Step<Rdd<u64>> {
        if let Some(counts) = self.frame.admit(batch, input)? {
            self.frame.keep(batch, counts.iter().sum());
        }
        self.frame.answer(batch, op)?;
        let sum = batch.owns_first().then(|| self.frame.partials().sum());
        Ok(Rdd::from_partitions([sum.into_iter().collect()]))
    }
}

impl Stateful for CountByWindow {
    fn fingerprint(&self) -> String {
        "count_by_window".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        self.frame.changes(out, |_: Time, count| *count);
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if let Some(stored) = self.frame.stored(key, Part::has_start_of)? {
            self.frame.restore(stored, decode(value)?);
        }
        Ok(())
    }

    fn restored(&mut self) -> Result<(), String> {
        self.frame.restored(true, |a, b| a + b);
        Ok(())
    }

    fn keys(&self) -> Option<u64> {
        Some(self.frame.partials().count() as u64)
    }
}
