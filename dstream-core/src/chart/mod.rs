//! Charts of streams: what the output [`dashboard`](crate::DStream::dashboard) shows of each batch.
//!
//! A [`Chart`] says how it looks. The type of the stream's records says whether that is possible, which the
//! compiler checks:
//!
//! | chart | a record is | it shows of each batch |
//! |---|---|---|
//! | [`Chart::bar`] | `(label, number)` | the records with the largest numbers |
//! | [`Chart::line`] | `number`, or `(label, number)` for several lines | one more point of each line |
//! | [`Chart::number`] | `number` | the first record |
//! | [`Chart::table`] | anything that implements `serde::Serialize` | the first records, their fields as columns |
//! | [`Chart::map`] | `(latitude, longitude)`, with a number, or with a label and a number | a point for each record |
//!
//! A label is anything that implements `Serialize`, such as a string, a number, or a tuple of them. A number
//! is one of the numeric types of the language. A record with a number that is infinite or not a number is
//! left out, and so is a point that is not on the globe. Of a text, 300 characters are shown.
//!
//! The rows are computed where the stream is, and nobody needs the page for them: each is an event,
//! [`ChartUpdated`](crate::events::ChartUpdated), with the data as [`ChartData`]. Where nobody listens, a
//! chart costs nothing but the operators before it. In several processes, each shows what it has itself.
//!
//! ```
//! use dstream::{chart::ChartData, events::Event, prelude::*, testing::Events};
//!
//! let events = Events::new();
//! let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(events.clone()), {
//!     let words = queue_stream(vec![vec!["to be or not", "to be"]]).words();
//!     let counts = words.count_by_value();
//!     counts.dashboard("Top words", Chart::bar().top(2).unit("times"));
//! })?;
//! ssc.run_batches(1)?;
//! ssc.stop();
//!
//! let updated = events.recorded().into_iter().find_map(|event| match event {
//!     Event::ChartUpdated(updated) => Some(updated),
//!     _ => None,
//! });
//! let updated = updated.expect("a chart");
//! assert_eq!((updated.chart.id.as_str(), updated.chart.unit.as_deref()), ("Top words", Some("times")));
//! let ChartData::Bar { mut bars } = updated.data else { panic!("bars") };
//! bars.sort_by(|a, b| a.0.cmp(&b.0));
//! assert_eq!(bars, [("be".to_owned(), 2.0), ("to".to_owned(), 2.0)]);
//! # Ok::<(), dstream::Error>(())
//! ```

mod cell;
mod data;
mod record;
mod top;

use std::{fmt, marker::PhantomData};

pub use cell::Cell;
pub use data::{ChartData, ChartInfo, ChartKind, Point};
pub use record::{ChartNumber, ChartRecord, Kind};
pub(crate) use top::TopRows;

/// How the output [`dashboard`](crate::DStream::dashboard) shows the batches of a stream. See the
/// [module](self).
///
/// `K` is the kind, from which the compiler knows what records it takes.
pub struct Chart<K> {
    /// How many records of a batch it shows.
    pub(crate) limit: usize,
    pub(crate) unit: Option<String>,
    columns: Vec<String>,
    kind: PhantomData<fn() -> K>,
}

/// Bars, the longest first: see [`Chart::bar`].
#[derive(Debug)]
pub enum Bar {}

/// Lines over time: see [`Chart::line`].
#[derive(Debug)]
pub enum Line {}

/// A table: see [`Chart::table`].
#[derive(Debug)]
pub enum Table {}

/// A single number: see [`Chart::number`].
#[derive(Debug)]
pub enum Number {}

/// Points on a map of the world: see [`Chart::map`].
#[derive(Debug)]
pub enum Map {}

impl<K> Chart<K> {
    fn new(limit: usize) -> Chart<K> {
        Chart { limit, unit: None, columns: Vec::new(), kind: PhantomData }
    }

    /// What the numbers count or measure, such as `"posts"` or `"ms"`: it is shown beside them.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Chart<K> {
        self.unit = Some(unit.into());
        self
    }
}

impl Chart<Bar> {
    /// A bar for each record, `(label, number)`: the 20 largest, the largest first; of equal ones those that
    /// arrived first.
    pub fn bar() -> Chart<Bar> {
        Chart::new(20)
    }

    /// Shows the `n` largest.
    #[must_use]
    pub fn top(self, n: usize) -> Chart<Bar> {
        Chart { limit: n, ..self }
    }
}

impl Chart<Line> {
    /// Numbers over time: each batch adds a point to each line. A record is a number, which makes one line,
    /// or `(label, number)` for a line a label, of which the 10 largest of each batch are shown.
    pub fn line() -> Chart<Line> {
        Chart::new(10)
    }

    /// Shows the `n` largest of each batch. A line has a gap where it is not among them.
    #[must_use]
    pub fn top(self, n: usize) -> Chart<Line> {
        Chart { limit: n, ..self }
    }
}

impl Chart<Table> {
    /// A row for each record: the first 20 of the batch, as they come; `sort_by` or `top` before it says
    /// which.
    ///
    /// The fields of a struct are columns, under their names. The elements of a tuple are columns, too, and a
    /// struct in a tuple brings its own. Anything else is one column.
    pub fn table() -> Chart<Table> {
        Chart::new(20)
    }

    /// Shows the first `n` records.
    #[must_use]
    pub fn rows(self, n: usize) -> Chart<Table> {
        Chart { limit: n, ..self }
    }

    /// Names the columns, from the first on. The others keep the names of their fields.
    #[must_use]
    pub fn columns<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Chart<Table> {
        Chart { columns: names.into_iter().map(N::into).collect(), ..self }
    }
}

impl Chart<Number> {
    /// One number: the first record of each batch. `count()` or `reduce(..)` before it makes one of many.
    pub fn number() -> Chart<Number> {
        Chart::new(1)
    }
}

impl Chart<Map> {
    /// A point on a map of the world for each record: `(latitude, longitude)` in degrees, north and east
    /// positive; `(latitude, longitude, number)`, and the number is the point's size; or `(latitude,
    /// longitude, label, number)`. The 500 with the largest numbers are shown.
    pub fn map() -> Chart<Map> {
        Chart::new(500)
    }

    /// Shows the `n` with the largest numbers.
    #[must_use]
    pub fn top(self, n: usize) -> Chart<Map> {
        Chart { limit: n, ..self }
    }
}

impl<K> Clone for Chart<K> {
    fn clone(&self) -> Self {
        Chart { limit: self.limit, unit: self.unit.clone(), columns: self.columns.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Chart<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chart")
            .field("limit", &self.limit)
            .field("unit", &self.unit)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
