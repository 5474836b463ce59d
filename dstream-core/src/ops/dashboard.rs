//! `dashboard`: a chart of each batch, for whoever listens.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    DStream, Rdd, Record, Result,
    chart::{Chart, ChartInfo, ChartRecord, Kind, TopRows},
    events::{Bus, ChartUpdated},
    ops::StreamOutput,
    record::Data,
    sink::{SinkBatch, SinkError},
};

impl<T: Record> DStream<T> {
    /// Shows each batch as a [`Chart`] under this title: bars, lines over time, a table, a number or a map.
    ///
    /// The [module](crate::chart) says which kinds there are, and which records each of them takes.
    ///
    /// The data is an event, [`ChartUpdated`], for every [listener](crate::events::Listener). The web page of
    /// a program, `Config::ui` of the feature `ui`, is one; it shows all charts under `/dashboard`.
    ///
    /// A title that is a string literal is the output's name, as if `named` said so. Two charts of a context
    /// can't have the same name.
    ///
    /// The output takes no options, since it can't fail.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["to be or not to be"]]).words();
    ///     let counts = words.map(|word| (word, 1)).reduce_by_key(|a, b| a + b);
    ///     counts.dashboard("Top words", Chart::bar().top(3));
    ///     counts.dashboard("All words", Chart::table().columns(["word", "times"]));
    ///     words.count().dashboard("Words in a batch", Chart::line());
    /// })?;
    /// ssc.run_batches(1)?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn dashboard<K: Kind>(self, title: impl Into<String>, chart: Chart<K>) -> StreamOutput
    where
        T::Owned: ChartRecord<K>,
    {
        drop((title.into(), chart));
        StreamOutput::typed()
    }
}

/// The output `dashboard`.
#[derive(Debug)]
pub struct Dashboard<K> {
    title: String,
    chart: Chart<K>,
    events: Bus,
    /// Whether a task of this batch has dropped its records, since nobody listened when it began.
    skipped: AtomicBool,
}

/// The sink of `dashboard`: a task keeps only the records that may be shown.
#[derive(Debug)]
pub struct ChartSink<K, T> {
    rows: TopRows<T>,
    chart: std::marker::PhantomData<fn() -> K>,
}

impl<K: Kind, T> ChartSink<K, T> {
    /// Keeps the record if it is among the largest.
    #[inline]
    pub fn push<R: Record<Owned = T>>(&mut self, record: R)
    where
        T: ChartRecord<K>,
    {
        if !self.rows.takes_any() {
            return;
        }
        let record = record.own();
        self.rows.push(record.weight(), || record);
    }

    /// The largest records of the task.
    pub fn finish(self) -> Vec<T> {
        self.rows.finish()
    }
}

impl<K: Kind> Dashboard<K> {
    /// A chart of a context with these listeners.
    pub(crate) fn new(title: String, chart: Chart<K>, events: Bus) -> Dashboard<K> {
        Dashboard { title, chart, events, skipped: AtomicBool::new(false) }
    }

    /// The sink of a task.
    pub fn sink<T>(&self) -> ChartSink<K, T> {
        let listened = self.events.is_listened();
        if !listened {
            self.skipped.store(true, Ordering::Relaxed);
        }
        let limit = if listened { self.chart.limit } else { 0 };
        ChartSink { rows: TopRows::new(limit), chart: std::marker::PhantomData }
    }

    /// The batch as records for this chart. Apart from [`emit`](ToChart::emit), so that the type of the
    /// records is known before the compiler asks whether a chart shows them.
    pub fn of<'a, T>(&'a self, rdd: &'a Rdd<T>) -> ToChart<'a, K, T> {
        ToChart { dashboard: self, rdd }
    }
}

/// A batch and the chart that shows it.
#[derive(Debug)]
pub struct ToChart<'a, K, T> {
    dashboard: &'a Dashboard<K>,
    rdd: &'a Rdd<T>,
}

impl<K: Kind, T> ToChart<'_, K, T> {
    /// Emits one batch.
    pub fn emit(self, batch: &SinkBatch) -> Result<(), SinkError>
    where
        T: ChartRecord<K> + Data,
    {
        let Dashboard { title, chart, events, skipped } = self.dashboard;
        // Who listens since the tasks ran is told of the next batch.
        if !skipped.swap(false, Ordering::Relaxed) {
            events.emit(|| {
                let mut rows = TopRows::new(chart.limit);
                self.rdd.iter().for_each(|record| rows.push(record.weight(), || record));
                let rows = rows.finish().into_iter().map(T::row).collect();
                let id = batch.context().output().to_owned();
                let info = ChartInfo { id, title: title.clone(), kind: K::KIND, unit: chart.unit.clone() };
                ChartUpdated { chart: info, batch: batch.time(), data: K::data(chart, rows) }
            });
        }
        Ok(())
    }
}
