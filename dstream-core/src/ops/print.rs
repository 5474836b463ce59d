//! `print`: the head of each batch on standard output.

use std::{
    fmt::{Debug, Write as _},
    io::{ErrorKind, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{
    DStream, Error, Rdd, Record, Result, Time,
    ops::StreamOutput,
    sink::{SinkBatch, SinkError},
};

impl<T: Record<Owned: Debug>> DStream<T> {
    /// Prints the first `n` records of each batch to standard output, `print()` the first 10:
    ///
    /// ```text
    /// -------------------------------------------
    /// Time: 2026-11-22 15:47:06
    /// -------------------------------------------
    /// ("hello", 2)
    /// ("world", 1)
    ///
    /// ```
    ///
    /// A record is written as its `Debug` form; `...` stands below if there are more. An empty batch prints
    /// the header. The time is local, with `.mmm` when the batch interval is not in whole seconds.
    ///
    /// Options `retry` and `on_error`: see [`sink`](crate::sink). Dead letters are the records that would
    /// have been printed.
    ///
    /// If standard output is a pipe that nobody reads any more, as behind `head`, the context stops
    /// [gracefully](crate::StreamingContext::stop_gracefully) and without an error, as `cat` ends.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2, 3]]).print(2);
    /// })?;
    /// ssc.run_batches(1)?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn print(self, n: usize) -> StreamOutput {
        let _ = n;
        StreamOutput::typed()
    }
}

/// The sink of `print`: a task need not own more records than can be printed.
#[derive(Debug)]
pub struct First<T> {
    records: Vec<T>,
    limit: usize,
}

impl<T> First<T> {
    /// Keeps the first `limit` records.
    pub fn new(limit: usize) -> Self {
        First { records: Vec::new(), limit }
    }

    /// Keeps the record if there is room.
    #[inline]
    pub fn push<R: Record<Owned = T>>(&mut self, record: R) {
        if self.records.len() < self.limit {
            self.records.push(record.own());
        }
    }

    /// The first records of the task.
    pub fn finish(self) -> Vec<T> {
        self.records
    }
}

/// The output `print`.
#[derive(Debug)]
pub struct Print {
    n: usize,
    with_millis: bool,
}

/// Whether standard output was found closed, since this was asked last: the process has one.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether a batch was to be printed that nobody reads, since this was asked last.
pub(crate) fn is_output_closed() -> bool {
    CLOSED.swap(false, Ordering::SeqCst)
}

const RULE: &str = "-------------------------------------------";

impl Print {
    /// Prints `n` records of each batch of a context with this interval.
    pub fn new(n: usize, interval: Duration) -> Print {
        Print { n, with_millis: interval.subsec_nanos() != 0 }
    }

    /// How many records of a batch it needs: one more than it prints, to know whether there are more.
    pub fn needs(&self) -> usize {
        self.n.saturating_add(1)
    }

    /// Prints one batch.
    pub fn emit<T: Debug>(&self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError> {
        let text = self.layout(rdd, batch.time());
        let mut out = std::io::stdout().lock();
        // One write a batch: lines of other threads do not get in between.
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Nobody reads any more, as behind `head`: no failure, but a reason to stop.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                CLOSED.store(true, Ordering::SeqCst);
                Ok(())
            }
            written => written.map_err(|e| SinkError::permanent(Error::io("writing to standard output", e))),
        }
    }

    fn layout<T: Debug>(&self, rdd: &Rdd<T>, time: Time) -> String {
        let mut text = format!("{RULE}\nTime: {}\n{RULE}\n", time.to_local(self.with_millis));
        let mut records = rdd.iter();
        for record in records.by_ref().take(self.n) {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{record:?}");
        }
        if records.next().is_some() {
            text.push_str("...\n");
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(n: usize, interval: Duration, records: Vec<(&str, u64)>) -> String {
        Print::new(n, interval).layout(&Rdd::from_partitions([records]), Time::from_millis(1_500))
    }

    #[test]
    fn prints_the_layout() {
        let text = printed(10, Duration::from_secs(1), vec![("hello", 2), ("world", 1)]);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[0], "-".repeat(43));
        assert!(lines[1].starts_with("Time: 19") && lines[1].len() == 25, "{}", lines[1]);
        assert_eq!(&lines[2..], [RULE, "(\"hello\", 2)", "(\"world\", 1)", "", ""]);
    }

    #[test]
    fn says_that_there_is_more() {
        let text = printed(1, Duration::from_millis(500), vec![("a", 1), ("b", 1)]);
        assert!(text.ends_with("\n(\"a\", 1)\n...\n\n"), "{text}");
        assert!(text.lines().nth(1).is_some_and(|l| l.ends_with(":01.500")), "{text}");
    }

    #[test]
    fn an_empty_batch_prints_the_header() {
        assert_eq!(printed(10, Duration::from_secs(1), vec![]).lines().count(), 4);
    }
}
