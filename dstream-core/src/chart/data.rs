//! What a chart is, and what it shows of a batch, as data.

use serde::Serialize;

use super::Cell;

/// A chart of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChartInfo {
    /// The name of the output, which no other chart of the context has: its title, if that is a string
    /// literal, or what [`named`](crate::DStream::named) says.
    pub id: String,
    /// What stands above it.
    pub title: String,
    /// How it looks.
    pub kind: ChartKind,
    /// What its numbers count or measure.
    pub unit: Option<String>,
}

/// How a chart looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChartKind {
    /// Bars, the longest first.
    Bar,
    /// Lines over time.
    Line,
    /// A table.
    Table,
    /// A single number.
    Number,
    /// Points on a map of the world.
    Map,
}

/// What a chart shows of one batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChartData {
    /// Bars, the longest first.
    Bar {
        /// Labels and lengths.
        bars: Vec<(String, f64)>,
    },
    /// The newest point of each line.
    Line {
        /// The label of each line, which is empty if there is only one, and its value in this batch.
        points: Vec<(String, f64)>,
    },
    /// A table.
    Table {
        /// The names of the columns.
        columns: Vec<String>,
        /// The rows; each has as many cells as there are columns.
        rows: Vec<Vec<Cell>>,
    },
    /// A single number.
    Number {
        /// None if the batch has no record.
        value: Option<f64>,
    },
    /// Points on a map, those with the largest numbers first.
    Map {
        /// The points.
        points: Vec<Point>,
    },
}

/// A point of a [map](super::Chart::map).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// What is written beside it.
    pub label: Option<String>,
    /// Its size; 1 if the record has no number.
    pub weight: f64,
}
