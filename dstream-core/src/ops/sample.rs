//! `sample`.

use crate::{DStream, Record, rdd::dice};

impl<T: Record> DStream<T> {
    /// Keeps each record with the probability `fraction`, from 0.0 to 1.0.
    ///
    /// Which ones are kept depends on the time of the batch and the place of the record: a batch that is run
    /// again after a restart has the same sample. A fraction outside of the range is an error when the
    /// context is built.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![(0..10_000).collect()]);
    ///     nums.sample(0.1).count().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert!((900..1_100).contains(&out.values()[0][0]));
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn sample(self, fraction: f64) -> DStream<T::Owned> {
        let _ = fraction;
        DStream::typed()
    }
}

/// The sink of `sample`: records that are not kept are not owned either.
#[derive(Debug)]
pub struct Sample<T, D> {
    fraction: f64,
    dice: D,
    kept: Vec<T>,
}

impl<T> Sample<T, ()> {
    /// Draws for the records of one task; `seed` is that of the batch.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(fraction: f64, seed: u64, task: usize) -> Sample<T, impl FnMut() -> f64> {
        Sample { fraction, dice: dice(seed, task), kept: Vec::new() }
    }
}

impl<T, D: FnMut() -> f64> Sample<T, D> {
    /// Keeps one record, or does not.
    #[inline]
    pub fn push<R: Record<Owned = T>>(&mut self, record: R) {
        if (self.dice)() < self.fraction {
            self.kept.push(record.own());
        }
    }

    /// The sample of the task.
    pub fn finish(self) -> Vec<T> {
        self.kept
    }
}
