//! What somebody should look at.
//!
//! It shows: streams of several pipelines in one, and an output with the time of the batch.

use std::io::Write;

use dstream::{Time, prelude::*};
use serde::{Deserialize, Serialize};

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Alert {
    /// Who says so: `story`, `bot` or `retweets`.
    pub kind: String,
    pub about: String,
    pub detail: String,
}

pub(super) fn alerts(
    ssc: &StreamingContext,
    stories: &StreamHandle<Alert>,
    bots: &StreamHandle<Alert>,
    anomalies: &StreamHandle<Alert>,
) -> dstream::Result<StreamHandle<Alert>> {
    dstream::stream!(ssc, name = "alerts", {
        let alerts = stories.union(bots).union(anomalies);
        alerts.foreach_rdd(|alerts, time| print(&alerts, time)).named("printed");

        // Those of the last five minutes, the newest first.
        let recent = alerts.window(5min, 5s);
        let latest = recent.zip_with_index().top(50, |(_, number)| *number).map(|(alert, _)| alert);
        latest.dashboard("Alerts", Chart::table().rows(50));
        alerts
    })
}

/// A line on standard output for each.
fn print(alerts: &Rdd<Alert>, time: Time) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for Alert { kind, about, detail } in alerts.iter() {
        writeln!(out, "ALERT {time} {kind} {about}: {detail}")?;
    }
    out.flush()
}
