//! The status line of a program in a terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::Duration,
};

use super::{BatchCompleted, BatchPlanned, BatchStarted, ContextStarted, ContextStopped, Listener};
use crate::{clock::Stopwatch, sync::Unpoisoned};

/// After what time it is drawn again, at the earliest.
const EVERY: Duration = Duration::from_millis(100);

/// How much a new batch weighs in the rate that is shown.
const WEIGHT: f64 = 0.2;

/// Draws one line, again and again, on standard error.
pub(crate) struct StatusLine<W>(Mutex<Line<W>>);

struct Line<W> {
    out: W,
    drawn: Option<Stopwatch>,
    interval: Duration,
    batches: u64,
    failed: u64,
    records_per_second: Option<f64>,
    waiting: i64,
}

impl StatusLine<io::Stderr> {
    /// `None` if standard error is no terminal.
    pub(crate) fn new() -> Option<StatusLine<io::Stderr>> {
        let stderr = io::stderr();
        stderr.is_terminal().then(|| StatusLine::on(stderr))
    }
}

impl<W> StatusLine<W> {
    fn on(out: W) -> StatusLine<W> {
        StatusLine(Mutex::new(Line {
            out,
            drawn: None,
            interval: Duration::ZERO,
            batches: 0,
            failed: 0,
            records_per_second: None,
            waiting: 0,
        }))
    }
}

impl<W: Write + Send + 'static> Listener for StatusLine<W> {
    fn context_started(&self, started: &ContextStarted) {
        let mut line = self.0.lock().unpoisoned();
        line.interval = started.plan.batch_interval;
        line.draw(&format!("{}: waits for its first batch", started.plan.name));
    }

    fn batch_planned(&self, _: &BatchPlanned) {
        self.0.lock().unpoisoned().waiting += 1;
    }

    fn batch_started(&self, _: &BatchStarted) {
        let mut line = self.0.lock().unpoisoned();
        line.waiting = (line.waiting - 1).max(0);
    }

    fn batch_completed(&self, batch: &BatchCompleted) {
        let mut line = self.0.lock().unpoisoned();
        line.count(batch);
        if line.drawn.as_ref().is_none_or(|drawn| drawn.elapsed() >= EVERY) {
            let text = line.text(batch);
            line.draw(&text);
            line.drawn = Some(Stopwatch::start());
        }
    }

    fn context_stopped(&self, _: &ContextStopped) {
        let mut line = self.0.lock().unpoisoned();
        // What is printed next has a line of its own.
        let _ = writeln!(line.out);
    }
}

impl<W: Write> Line<W> {
    fn count(&mut self, batch: &BatchCompleted) {
        self.batches += 1;
        self.failed += u64::from(batch.error.is_some());
        let records: u64 = batch.inputs.iter().filter_map(|input| input.records).sum();
        let rate = records as f64 / self.interval.as_secs_f64().max(1e-3);
        let mean = self.records_per_second.get_or_insert(rate);
        *mean += WEIGHT * (rate - *mean);
    }

    fn text(&self, batch: &BatchCompleted) -> String {
        let rate = self.records_per_second.unwrap_or_default().round() as u64;
        let mut text = format!(
            "{} batches, {} records/s, {:?} of {:?}",
            grouped(self.batches),
            grouped(rate),
            batch.total_delay,
            self.interval,
        );
        if self.failed > 0 {
            text += &format!(", {} failed", grouped(self.failed));
        }
        if self.waiting > 0 {
            text += &format!(", {} wait", grouped(self.waiting.unsigned_abs()));
        }
        let keys: u64 = batch.kept.iter().filter_map(|kept| kept.keys).sum();
        if !batch.kept.is_empty() {
            text += &format!(", {} keys", grouped(keys));
        }
        text
    }

    /// Draws over the line before. A terminal that can't be written to is none of the program's business.
    fn draw(&mut self, text: &str) {
        let _ = write!(self.out, "\r\x1b[2K{text}").and_then(|()| self.out.flush());
    }
}

/// With a comma between thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Time,
        events::{InputInfo, KeptInfo},
    };

    fn completed(records: u64, error: Option<&str>) -> BatchCompleted {
        BatchCompleted {
            batch: Time::from_millis(1_000),
            planned_at: Time::from_millis(1_000),
            started_at: Time::from_millis(1_000),
            at: Time::from_millis(1_012),
            scheduling_delay: Duration::ZERO,
            processing_time: Duration::from_millis(12),
            total_delay: Duration::from_millis(12),
            inputs: vec![InputInfo {
                source: "s".into(),
                blocks: 1,
                bytes: 8,
                records: Some(records),
                limit: None,
                details: Vec::new(),
            }],
            outputs: Vec::new(),
            kept: vec![KeptInfo {
                operator: "totals".into(),
                keys: Some(1_234),
                estimated_bytes: None,
                oldest: None,
            }],
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_what_there_is_to_say() {
        let status = StatusLine::on(Vec::new());
        status.0.lock().unpoisoned().interval = Duration::from_millis(500);
        status.batch_completed(&completed(2_500, None));
        // Too soon to be drawn, but counted.
        status.batch_completed(&completed(5_000, Some("no")));
        let mut line = status.0.lock().unpoisoned();
        assert_eq!(
            String::from_utf8_lossy(&line.out),
            "\r\x1b[2K1 batches, 5,000 records/s, 12ms of 500ms, 1,234 keys"
        );
        line.waiting = 3;
        assert_eq!(
            line.text(&completed(0, None)),
            "2 batches, 6,000 records/s, 12ms of 500ms, 1 failed, 3 wait, 1,234 keys"
        );
    }

    #[test]
    fn thousands_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")];
        cases.iter().for_each(|(n, text)| assert_eq!(grouped(*n), *text));
    }
}
