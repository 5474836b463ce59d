//! What the charts of a dashboard show.

use std::collections::VecDeque;

use dstream_core::{
    Time,
    chart::{ChartData, ChartInfo, ChartKind},
    events::ChartUpdated,
};

/// How many points a line has, at most.
const POINTS: usize = 600;

/// A chart with its newest data.
#[derive(Debug)]
pub(crate) struct ChartRecord {
    pub(crate) info: ChartInfo,
    /// The newest batch.
    pub(crate) batch: Time,
    pub(crate) data: ChartData,
    /// The batches of a chart over time, oldest first.
    pub(crate) history: VecDeque<(Time, ChartData)>,
}

impl ChartRecord {
    pub(crate) fn update(charts: &mut Vec<ChartRecord>, updated: &ChartUpdated) {
        let at = charts.iter().position(|chart| chart.info.id == updated.chart.id).unwrap_or_else(|| {
            charts.push(ChartRecord {
                info: updated.chart.clone(),
                batch: updated.batch,
                data: updated.data.clone(),
                history: VecDeque::new(),
            });
            charts.len() - 1
        });
        let chart = &mut charts[at];
        (chart.batch, chart.data) = (updated.batch, updated.data.clone());
        if matches!(updated.chart.kind, ChartKind::Line | ChartKind::Number) {
            chart.history.push_back((updated.batch, updated.data.clone()));
            if chart.history.len() > POINTS {
                chart.history.pop_front();
            }
        }
    }
}
