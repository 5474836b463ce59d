//! What is wrong with a query, and where.

use std::{error::Error as StdError, fmt, sync::Arc};

use datafusion::error::DataFusionError;

/// A query that can't be planned or run, with the place in its text where that is known.
///
/// ```
/// use dstream::{prelude::*, sql::SqlContext};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Record, Serialize, Deserialize)]
/// struct Word {
///     word: String,
/// }
///
/// let query = SqlContext::new().sql("SELECT wrd FROM words").table::<Word>("words");
/// let error = query.build::<Word>().unwrap_err();
/// assert_eq!((error.line(), error.column()), (Some(1), Some(8)));
/// assert_eq!(error.to_string().lines().nth(2), Some("           ^^^"));
/// ```
#[derive(Debug, Clone)]
pub struct SqlError {
    message: String,
    /// The line of the text that is meant, and where in it.
    place: Option<Place>,
    cause: Option<Arc<DataFusionError>>,
}

#[derive(Debug, Clone)]
struct Place {
    text: String,
    /// Both from 1.
    line: usize,
    column: usize,
    width: usize,
}

impl SqlError {
    pub(crate) fn new(message: impl Into<String>) -> SqlError {
        SqlError { message: message.into(), place: None, cause: None }
    }

    /// What DataFusion says of the query `text`.
    pub(crate) fn of_query(error: DataFusionError, text: &str) -> SqlError {
        let diagnostic = error.diagnostic();
        let (message, span) = match diagnostic {
            Some(found) => {
                let further = found.notes.iter().map(|note| &note.message);
                let further = further.chain(found.helps.iter().map(|help| &help.message));
                let message = further.fold(found.message.clone(), |all, next| format!("{all}; {next}"));
                (message, found.span)
            }
            None => (shortened(&error), None),
        };
        let place = match span {
            Some(span) => {
                let (line, column) = (span.start.line as usize, span.start.column as usize);
                let end = if span.end.line == span.start.line { span.end.column as usize } else { column };
                Place::at(text, line, column, end.saturating_sub(column))
            }
            None => Place::named_by(&message, text),
        };
        SqlError { message, place, cause: Some(Arc::new(error)) }
    }

    /// What happened while the query ran.
    pub(crate) fn of_run(error: DataFusionError) -> SqlError {
        SqlError { message: shortened(&error), place: None, cause: Some(Arc::new(error)) }
    }

    /// Where `word` is in the query `text`.
    pub(crate) fn at_word(mut self, text: &str, word: &str) -> SqlError {
        self.place = Place::of_word(text, word);
        self
    }

    /// The line of the query's text, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column of that line, in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(Place { text, column, width, .. }) = &self.place else { return Ok(()) };
        write!(
            f,
            "\n    {text}\n    {:indent$}{:^<width$}",
            "",
            "",
            indent = column - 1,
            width = width.max(&1)
        )
    }
}

impl StdError for SqlError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

impl From<SqlError> for dstream_core::Error {
    fn from(error: SqlError) -> dstream_core::Error {
        dstream_core::Error::Invalid(error.to_string())
    }
}

impl Place {
    fn at(text: &str, line: usize, column: usize, width: usize) -> Option<Place> {
        let found = text.lines().nth(line.checked_sub(1)?)?;
        let column = column.clamp(1, found.chars().count() + 1);
        // A tab is as wide as any other character then.
        Some(Place { text: found.replace('\t', " "), line, column, width })
    }

    fn of_word(text: &str, word: &str) -> Option<Place> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let found = text.match_indices(word).find(|(at, _)| {
            let (before, behind) = (&text[..*at], &text[at + word.len()..]);
            !word.is_empty() && !before.ends_with(is_name) && !behind.starts_with(is_name)
        });
        let (at, _) = found?;
        let line = text[..at].matches('\n').count() + 1;
        let column = text[..at].rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place::at(text, line, column, word.chars().count())
    }

    /// Where no place is given the message has it in words, or names what is meant.
    fn named_by(message: &str, text: &str) -> Option<Place> {
        let number = |mark: &str| {
            let digits = message.rsplit_once(mark)?.1;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse::<usize>().ok()
        };
        if let (Some(line), Some(column)) = (number("Line: "), number("Column: ")) {
            let rest: String =
                text.lines().nth(line.saturating_sub(1))?.chars().skip(column.saturating_sub(1)).collect();
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Place::at(text, line, column, word);
        }
        let quoted = message.split(['\'', '"', '`']).skip(1).step_by(2);
        let named =
            |mark: &str| message.split_once(mark).and_then(|(_, rest)| rest.split([' ', '\n', ';']).next());
        let named = [named("No field named ").map(|name| name.trim_end_matches('.')), named(" in ")];
        quoted.chain(named.into_iter().flatten()).find_map(|word| Place::of_word(text, word))
    }
}

/// Without what is of DataFusion's inside.
fn shortened(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    // What is around the error says in which step of the planner it was found.
    let text = text.rsplit("caused by\n").next().unwrap_or_default();
    let kinds =
        ["Error during planning: ", "SQL error: ", "Schema error: ", "Execution error: ", "Arrow error: "];
    kinds.iter().fold(text.trim(), |text, kind| text.trim_start_matches(kind)).replace('\n', " ")
}
