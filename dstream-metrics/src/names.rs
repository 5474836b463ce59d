//! The names of all metrics. Times are in seconds, sizes in bytes.

use metrics::Unit;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Is what it is now.
    Gauge,
    /// Counts values by their size.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Name {
    /// As an exporter has it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: Unit,
    /// The labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub description: &'static str,
}

/// Declares a metric a line: the constant with its name, and its entry in [`ALL`].
macro_rules! names {
    ($(
        $constant:ident = $name:literal, $kind:ident of $unit:ident, $labels:expr, $description:literal;
    )*) => {
        $(#[doc = $description] pub const $constant: &str = $name;)*
        /// All metrics.
        pub const ALL: &[Name] = &[$(Name {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &$labels,
            description: $description,
        },)*];
    };
}

names! {
    RUNNING = "dstream_running", Gauge of Count, [], "1 while the context runs, 0 when it has stopped.";
    BATCH_INTERVAL = "dstream_batch_interval_seconds", Gauge of Seconds, [], "The batch interval.";
    BATCHES = "dstream_batches_total", Counter of Count, [], "Batches that are done, those that failed too.";
    BATCHES_FAILED = "dstream_batches_failed_total", Counter of Count, [], "Batches that have failed.";
    BATCHES_WAITING = "dstream_batches_waiting", Gauge of Count, [], "Batches that wait for those before \
        them.";
    BATCHES_RUNNING = "dstream_batches_running", Gauge of Count, [], "Batches that are processed now: 0 or \
        1.";
    BATCH_BEHIND = "dstream_batch_behind_seconds", Gauge of Seconds, [],
        "How late batches end, since that was last said; 0 where they end in time.";
    LAST_BATCH = "dstream_last_batch_timestamp_seconds", Gauge of Seconds, [],
        "The time of the newest batch that is done, in seconds since 1970.";
    SCHEDULING_DELAY = "dstream_batch_scheduling_delay_seconds", Histogram of Seconds, [],
        "From the planning of a batch to the begin of its processing.";
    PROCESSING = "dstream_batch_processing_seconds", Histogram of Seconds, [],
        "From the begin of the processing of a batch to its end.";
    TOTAL_DELAY = "dstream_batch_total_delay_seconds", Histogram of Seconds, [],
        "From the planning of a batch to its end.";
    RECORDS = "dstream_records_total", Counter of Count, ["source"],
        "Records of completed batches, where the source's blocks can say how many.";
    INPUT_BYTES = "dstream_input_bytes_total", Counter of Bytes, ["source"],
        "About how many bytes of memory or of files completed batches had.";
    INPUT_BLOCKS = "dstream_input_blocks_total", Counter of Count, ["source"], "Blocks of completed batches.";
    INPUT_LIMIT = "dstream_input_limit_records", Gauge of Count, ["source"],
        "How many records the newest batch might have; +Inf without a limit.";
    STAGE = "dstream_stage_seconds", Histogram of Seconds, ["pipeline", "stage"], "How long a stage took.";
    STAGE_BUSY = "dstream_stage_busy_seconds", Histogram of Seconds, ["pipeline", "stage"],
        "How long the tasks of a stage took, all together.";
    STAGE_TASKS = "dstream_stage_tasks_total", Counter of Count, ["pipeline", "stage"], "Tasks of a stage.";
    STAGE_FAILURES = "dstream_stage_failures_total", Counter of Count, ["pipeline", "stage"],
        "How often a stage has failed.";
    OUTPUT = "dstream_output_seconds", Histogram of Seconds, ["output"],
        "How long an output took, with all attempts.";
    OUTPUT_RECORDS = "dstream_output_records_total", Counter of Count, ["output"],
        "Records that an output was given, also where it has failed.";
    OUTPUT_RETRIES = "dstream_output_retries_total", Counter of Count, ["output"],
        "Attempts of an output that failed and were made again.";
    OUTPUT_FAILURES = "dstream_output_failures_total", Counter of Count, ["output"],
        "How often an output has failed for good.";
    KEPT_KEYS = "dstream_kept_keys", Gauge of Count, ["operator"],
        "Keys of a state or a keyed window; records or partial results of another window.";
    KEPT_BYTES = "dstream_kept_estimated_bytes", Gauge of Bytes, ["operator"],
        "About how many bytes of memory a state or a window takes, estimated from a sample.";
    KEPT_OLDEST = "dstream_kept_oldest_timestamp_seconds", Gauge of Seconds, ["operator"],
        "The batch of what is oldest in a state or a window, in seconds since 1970.";
    CHECKPOINTS = "dstream_checkpoints_total", Counter of Count, [], "Checkpoints that were written.";
    CHECKPOINT_BYTES = "dstream_checkpoint_bytes_total", Counter of Bytes, [], "Bytes of all checkpoints.";
    CHECKPOINT = "dstream_checkpoint_seconds", Histogram of Seconds, [], "How long a checkpoint took.";
    RECEIVER_ACTIVE = "dstream_receiver_active", Gauge of Count, ["source"],
        "1 while a receiver runs, 0 while it waits to be run again or has stopped.";
    RECEIVER_FAILURES = "dstream_receiver_failures_total", Counter of Count, ["source"],
        "How often a receiver has ended, failed or panicked.";
    REPORTS = "dstream_reports_total", Counter of Count, [],
        "Errors that cost records or time but failed no batch.";
    EVENTS_DROPPED = "dstream_events_dropped_total", Counter of Count, [],
        "Events that these metrics have missed: they did not keep up.";
}
