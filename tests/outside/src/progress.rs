//! A listener: says on standard output what has happened, a line an event.

use std::io::Write;

use dstream::events::{Event, Listener};

/// Whoever reads the lines knows how far the program is.
pub struct Progress;

impl Listener for Progress {
    fn any(&self, event: &Event) {
        // A reader that has gone is not missed.
        let text = format!("{event:?}");
        let name = text.split(['(', ' ']).next().unwrap_or_default();
        let _ = writeln!(std::io::stdout(), "{name}");
    }
}
