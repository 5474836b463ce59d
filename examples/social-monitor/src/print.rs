//! Charts as text: what a listener can make of them.

use std::{fmt::Write as _, io::Write as _};

use dstream::{
    chart::{ChartData, Point},
    events::{ChartUpdated, Listener},
};

/// Prints the charts with these titles, each time that they change.
#[derive(Debug)]
pub struct PrintCharts(pub Vec<String>);

impl Listener for PrintCharts {
    fn chart_updated(&self, updated: &ChartUpdated) {
        if self.0.contains(&updated.chart.title) {
            let unit = updated.chart.unit.as_deref().map_or(String::new(), |unit| format!(", {unit}"));
            let text = format!("\n{}{unit}, {}\n{}", updated.chart.title, updated.batch, text(&updated.data));
            // A terminal that is closed is no reason to stop.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        }
    }
}

/// The rows of a chart, a line each.
fn text(data: &ChartData) -> String {
    match data {
        ChartData::Bar { bars } => bar_lines(bars),
        ChartData::Line { points } => bar_lines(points),
        ChartData::Map { points } => {
            let pairs = points.iter().map(|Point { label, latitude, longitude, weight, .. }| {
                let place = label.clone().unwrap_or_else(|| format!("{latitude:.1}, {longitude:.1}"));
                (place, *weight)
            });
            bar_lines(&pairs.take(20).collect::<Vec<_>>())
        }
        ChartData::Number { value } => value.map_or("-\n".into(), |value| format!("{value}\n")),
        ChartData::Table { columns, rows } => {
            let rows = rows.iter().map(|row| row.iter().map(ToString::to_string).collect());
            table_lines(&[vec![columns.clone()], rows.collect()].concat())
        }
        // A kind that is newer than this program.
        other => format!("{other:?}\n"),
    }
}

fn bar_lines(bars: &[(String, f64)]) -> String {
    let longest = bars.iter().map(|(_, value)| value.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let width = bars.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    bars.iter().fold(String::new(), |mut text, (label, value)| {
        let bar = "█".repeat((value.abs() / longest * 40.0).ceil() as usize);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{label:width$} {bar} {}", (value * 100.0).round() / 100.0);
        text
    })
}

fn table_lines(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().fold(String::new(), |text, row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        text + cells.collect::<String>().trim_end() + "\n"
    })
}

#[cfg(test)]
mod tests {
    use dstream::chart::Cell;

    use super::*;

    #[test]
    fn bars_have_the_length_of_their_values() {
        let bars = vec![("rust".into(), 20.0), ("go".into(), 5.0), ("none".into(), 0.0)];
        let lines = text(&ChartData::Bar { bars });
        let expected =
            [format!("rust {} 20", "█".repeat(40)), format!("go   {} 5", "█".repeat(10)), "none  0".into()];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
        assert_eq!(text(&ChartData::Bar { bars: vec![] }), "");
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = vec![
            vec![Cell::Text("ada".into()), Cell::UInt(7)],
            vec![Cell::Text("benjamin".into()), Cell::Null],
        ];
        let lines = text(&ChartData::Table { columns: vec!["user".into(), "posts".into()], rows });
        assert_eq!(lines, "user      posts\nada       7\nbenjamin\n");
    }
}
