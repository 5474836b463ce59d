//! What a sink does with its rows, and the parts of statements that databases have in common.

use std::fmt;

/// What becomes of the rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are appended to a table.
    Append {
        /// The table.
        table: String,
    },
    /// They replace the rows that have the same key.
    Upsert {
        /// The table.
        table: String,
        /// The columns of the key.
        key: Vec<String>,
    },
    /// They are added to the rows that have the same key.
    AddTo {
        /// The table.
        table: String,
        /// The columns of the key.
        key: Vec<String>,
    },
    /// A statement of the user's, over the fields of a record.
    Statement(String),
    /// A statement of the user's, over a table of the rows.
    OverBatch {
        /// The columns of that table, as in `CREATE TABLE`.
        columns: String,
        /// The statement.
        sql: String,
    },
}

impl Mode {
    /// The table that is written to, where it is known.
    pub fn table(&self) -> Option<&str> {
        match self {
            Mode::Append { table } | Mode::Upsert { table, .. } | Mode::AddTo { table, .. } => Some(table),
            Mode::Statement(_) | Mode::OverBatch { .. } => None,
        }
    }

    /// The columns by which rows are found again.
    pub fn key(&self) -> &[String] {
        match self {
            Mode::Upsert { key, .. } | Mode::AddTo { key, .. } => key,
            _ => &[],
        }
    }
}

/// As the user wrote it, for messages.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Append { table } => write!(f, ".table({table:?})"),
            Mode::Upsert { table, key } => write!(f, ".upsert({table:?}, {key:?})"),
            Mode::AddTo { table, key } => write!(f, ".add_to({table:?}, {key:?})"),
            Mode::Statement(_) => write!(f, ".statement(..)"),
            Mode::OverBatch { .. } => write!(f, ".statement_over_batch(..)"),
        }
    }
}

/// A name, in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name that may have a schema before it, in quotes.
pub fn quoted_path(path: &str) -> String {
    path.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// Names, in quotes, with commas between.
pub fn list<N: AsRef<str>>(names: &[N]) -> String {
    names.iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// What an insertion into a table (known as `target`) does where the key is there already; empty where there
/// is no key.
pub fn conflict(mode: &Mode, columns: &[String]) -> String {
    let key = mode.key();
    if key.is_empty() {
        return String::new();
    }
    let rest = columns.iter().filter(|column| !key.contains(column)).map(|column| {
        let column = quoted(column);
        match mode {
            // Of two values one of which is NULL, the other is the sum.
            Mode::AddTo { .. } => format!(
                "{column} = coalesce(target.{column} + excluded.{column}, target.{column}, excluded.{column})"
            ),
            _ => format!("{column} = excluded.{column}"),
        }
    });
    let rest = rest.collect::<Vec<_>>().join(", ");
    match rest.is_empty() {
        true => format!(" ON CONFLICT ({}) DO NOTHING", list(key)),
        false => format!(" ON CONFLICT ({}) DO UPDATE SET {rest}", list(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_replace_or_add() {
        let columns = ["word".to_owned(), "n".to_owned()];
        let (table, key) = ("counts".to_owned(), vec!["word".to_owned()]);
        assert_eq!(conflict(&Mode::Append { table: table.clone() }, &columns), "");
        let upsert = Mode::Upsert { table: table.clone(), key: key.clone() };
        assert_eq!(conflict(&upsert, &columns), r#" ON CONFLICT ("word") DO UPDATE SET "n" = excluded."n""#);
        assert_eq!(conflict(&upsert, &columns[..1]), r#" ON CONFLICT ("word") DO NOTHING"#);
        assert_eq!(
            conflict(&Mode::AddTo { table, key }, &columns),
            r#" ON CONFLICT ("word") DO UPDATE SET "n" = coalesce(target."n" + excluded."n", target."n", excluded."n")"#
        );
        assert_eq!(quoted_path(r#"shop.od"d"#), r#""shop"."od""d""#);
    }
}
