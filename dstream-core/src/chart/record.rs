//! Which records which charts can show.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    Bar, Cell, Chart, ChartData, ChartKind, Line, Map, Number, Point, Table,
    cell::{label, row},
};
use crate::sealed::Sealed;

/// A kind of chart. See [`Chart`].
pub trait Kind: Sealed + Sized + 'static {
    /// As a value.
    const KIND: ChartKind;

    /// What is shown of one record.
    type Row;

    /// The rows of a batch, in the order in which they are shown.
    #[doc(hidden)]
    fn data(chart: &Chart<Self>, rows: Vec<Self::Row>) -> ChartData;
}

/// A record that a chart of the kind `K` can show. Implemented by itself: the [module](super) has the table.
#[diagnostic::on_unimplemented(
    message = "a chart of the kind `{K}` can't show records of type `{Self}`",
    label = "shows a stream of `{Self}` here",
    note = "`Chart::bar()` shows `(label, number)`, `Chart::line()` `number` or `(label, number)`, \
            `Chart::number()` `number`",
    note = "`Chart::map()` shows `(latitude, longitude)`, `(latitude, longitude, number)` or `(latitude, \
            longitude, label, number)`, with latitude and longitude as `f64`",
    note = "`Chart::table()` shows what implements `serde::Serialize`, as a label must",
    note = "map the records to one of these first, for example `.map(|visit| (visit.page, visit.millis))`"
)]
pub trait ChartRecord<K: Kind> {
    /// By what the largest records are found; `None` if it can't be shown.
    #[doc(hidden)]
    fn weight(&self) -> Option<f64>;

    /// What is shown of it.
    #[doc(hidden)]
    fn row(&self) -> K::Row;
}

/// A number that a chart can show. Implemented for the numeric types of the language.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number that a chart can show",
    label = "shows integers and floating-point numbers",
    note = "map the records first, for example `.map(|(name, took)| (name, took.as_secs_f64()))`"
)]
pub trait ChartNumber: Sealed {
    /// As a floating-point number.
    #[doc(hidden)]
    fn to_f64(&self) -> f64;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Sealed for $number {}

        impl ChartNumber for $number {
            // Integers beyond 2^53 are rounded: no screen shows the difference.
            fn to_f64(&self) -> f64 {
                *self as f64
            }
        }

        impl ChartRecord<Line> for $number {
            fn weight(&self) -> Option<f64> {
                finite(self).map(|_| 0.0)
            }

            fn row(&self) -> (String, f64) {
                (String::new(), self.to_f64())
            }
        }

        impl ChartRecord<Number> for $number {
            fn weight(&self) -> Option<f64> {
                finite(self).map(|_| 0.0)
            }

            fn row(&self) -> f64 {
                self.to_f64()
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

fn finite(number: &impl ChartNumber) -> Option<f64> {
    Some(number.to_f64()).filter(|number| number.is_finite())
}

/// The weight of a point, if it is on the globe.
fn on_globe(latitude: f64, longitude: f64, weight: Option<f64>) -> Option<f64> {
    weight.filter(|_| latitude.abs() <= 90.0 && longitude.abs() <= 180.0)
}

impl Sealed for Bar {}

impl Kind for Bar {
    const KIND: ChartKind = ChartKind::Bar;
    type Row = (String, f64);

    fn data(_: &Chart<Bar>, bars: Vec<(String, f64)>) -> ChartData {
        ChartData::Bar { bars }
    }
}

impl<L: Serialize, N: ChartNumber> ChartRecord<Bar> for (L, N) {
    fn weight(&self) -> Option<f64> {
        finite(&self.1)
    }

    fn row(&self) -> (String, f64) {
        (label(&self.0), self.1.to_f64())
    }
}

impl Sealed for Line {}

impl Kind for Line {
    const KIND: ChartKind = ChartKind::Line;
    type Row = (String, f64);

    fn data(_: &Chart<Line>, points: Vec<(String, f64)>) -> ChartData {
        // A line has one point a batch: the first of equal labels.
        let mut labels = HashSet::new();
        let is_first: Vec<bool> = points.iter().map(|(label, _)| labels.insert(label.as_str())).collect();
        let points = points.into_iter().zip(is_first).filter(|(_, is_first)| *is_first);
        ChartData::Line { points: points.map(|(point, _)| point).collect() }
    }
}

impl<L: Serialize, N: ChartNumber> ChartRecord<Line> for (L, N) {
    fn weight(&self) -> Option<f64> {
        finite(&self.1)
    }

    fn row(&self) -> (String, f64) {
        (label(&self.0), self.1.to_f64())
    }
}

impl Sealed for Number {}

impl Kind for Number {
    const KIND: ChartKind = ChartKind::Number;
    type Row = f64;

    fn data(_: &Chart<Number>, rows: Vec<f64>) -> ChartData {
        ChartData::Number { value: rows.first().copied() }
    }
}

impl Sealed for Table {}

impl Kind for Table {
    const KIND: ChartKind = ChartKind::Table;
    type Row = Vec<(String, Cell)>;

    fn data(chart: &Chart<Table>, rows: Vec<Vec<(String, Cell)>>) -> ChartData {
        // Rows of a map, or of an enum, need not have the same columns.
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in rows.iter().flatten() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let cells = |row: Vec<(String, Cell)>| {
            let mut cells = vec![Cell::Null; columns.len()];
            for (name, cell) in row {
                if let Some(at) = columns.iter().position(|column| *column == name) {
                    cells[at] = cell;
                }
            }
            cells
        };
        let mut rows: Vec<Vec<Cell>> = rows.into_iter().map(cells).collect();
        // The program's names are there also where a batch has no record.
        columns.resize(columns.len().max(chart.columns.len()), String::new());
        columns.iter_mut().zip(&chart.columns).for_each(|(column, name)| column.clone_from(name));
        rows.iter_mut().for_each(|row| row.resize(columns.len(), Cell::Null));
        ChartData::Table { columns, rows }
    }
}

impl<T: Serialize> ChartRecord<Table> for T {
    fn weight(&self) -> Option<f64> {
        Some(0.0)
    }

    fn row(&self) -> Vec<(String, Cell)> {
        row(self)
    }
}

impl Sealed for Map {}

impl Kind for Map {
    const KIND: ChartKind = ChartKind::Map;
    type Row = Point;

    fn data(_: &Chart<Map>, points: Vec<Point>) -> ChartData {
        ChartData::Map { points }
    }
}

impl ChartRecord<Map> for (f64, f64) {
    fn weight(&self) -> Option<f64> {
        on_globe(self.0, self.1, Some(1.0))
    }

    fn row(&self) -> Point {
        Point { latitude: self.0, longitude: self.1, label: None, weight: 1.0 }
    }
}

impl<N: ChartNumber> ChartRecord<Map> for (f64, f64, N) {
    fn weight(&self) -> Option<f64> {
        on_globe(self.0, self.1, finite(&self.2))
    }

    fn row(&self) -> Point {
        Point { latitude: self.0, longitude: self.1, label: None, weight: self.2.to_f64() }
    }
}

impl<L: Serialize, N: ChartNumber> ChartRecord<Map> for (f64, f64, L, N) {
    fn weight(&self) -> Option<f64> {
        on_globe(self.0, self.1, finite(&self.3))
    }

    fn row(&self) -> Point {
        Point { latitude: self.0, longitude: self.1, label: Some(label(&self.2)), weight: self.3.to_f64() }
    }
}
