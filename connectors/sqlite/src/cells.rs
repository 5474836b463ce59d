//! Rows as bytes, until they are bound to a statement: a tag for each cell, and its value.

use dstream_database::Cells;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

/// Encoded rows.
#[derive(Debug, Default)]
pub struct Encoded(Vec<u8>);

const NULL: u8 = 0;
const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const LARGE: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;

impl Encoded {
    fn put(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
    }

    fn put_long(&mut self, tag: u8, bytes: &[u8]) {
        self.put(tag, &bytes.len().to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// All cells, one row after the other.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (tag, after) = rest.split_first()?;
            rest = after;
            Some(match *tag {
                BOOLEAN => Cell::Boolean(taken::<1>(&mut rest)? == [1]),
                INTEGER => Cell::Integer(i64::from_le_bytes(taken(&mut rest)?)),
                LARGE => Cell::Large(i128::from_le_bytes(taken(&mut rest)?)),
                FLOAT => Cell::Float(f64::from_le_bytes(taken(&mut rest)?)),
                TEXT | BYTES => {
                    let len = usize::from_le_bytes(taken(&mut rest)?);
                    let (bytes, after) = rest.split_at_checked(len)?;
                    rest = after;
                    if *tag == TEXT { Cell::Text(bytes) } else { Cell::Bytes(bytes) }
                }
                _ => Cell::Null,
            })
        })
    }
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

impl Cells for Encoded {
    fn null(&mut self) {
        self.0.push(NULL);
    }

    fn boolean(&mut self, value: bool) {
        self.put(BOOLEAN, &[value.into()]);
    }

    fn integer(&mut self, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.put(INTEGER, &value.to_le_bytes()),
            Err(_) => self.put(LARGE, &value.to_le_bytes()),
        }
    }

    fn float(&mut self, value: f64) {
        self.put(FLOAT, &value.to_le_bytes());
    }

    fn text(&mut self, value: &str) {
        self.put_long(TEXT, value.as_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.put_long(BYTES, value);
    }

    fn end(&mut self) {}
}

/// A cell of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Larger than SQLite has them.
    Large(i128),
    Float(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The value to bind, or why SQLite can't keep it as it is.
    pub(crate) fn value(self) -> Result<ToSqlOutput<'a>, String> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Boolean(value) => ToSqlOutput::Owned(Value::Integer(value.into())),
            Cell::Integer(value) => ToSqlOutput::Owned(Value::Integer(value)),
            Cell::Large(value) => {
                return Err(format!("{value} is larger than the integers of SQLite, of 64 bits"));
            }
            Cell::Float(value) if value.is_nan() => {
                return Err("NaN can't be kept by SQLite, which would make it NULL".into());
            }
            Cell::Float(value) => ToSqlOutput::Owned(Value::Real(value)),
            Cell::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value)),
            Cell::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        })
    }

    fn json(self) -> serde_json::Value {
        match self {
            Cell::Null => serde_json::Value::Null,
            Cell::Boolean(value) => value.into(),
            Cell::Integer(value) => value.into(),
            Cell::Large(value) => value.to_string().into(),
            Cell::Float(value) if value.is_finite() => value.into(),
            Cell::Float(value) => value.to_string().into(),
            Cell::Text(value) => String::from_utf8_lossy(value).into(),
            Cell::Bytes(value) => value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        }
    }
}

/// A row as JSON: the record that it was made of, by the names of its columns.
pub(crate) fn as_json(row: &[Cell<'_>], columns: &[String]) -> String {
    let fields = row
        .iter()
        .zip(columns)
        .map(|(cell, column)| format!("{}:{}", serde_json::Value::from(column.as_str()), cell.json()));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use dstream_database::Rows;

    use super::*;

    #[test]
    fn rows_can_be_read_back() {
        let mut rows = Rows::<Encoded>::default();
        let bytes = dstream_core::Bytes::from_static(b"\x00\xff");
        rows.push(&("a\"b", -3i64, None::<f64>, true, u64::MAX, bytes.clone(), 0.5f32)).unwrap();
        rows.push(&("", i64::MIN, Some(f64::INFINITY), false, 0u64, bytes, -1.0f32)).unwrap();
        let cells: Vec<Cell<'_>> = rows.cells.cells().collect();
        assert_eq!(cells.len(), 14);
        let columns: Vec<String> = "abcdefg".chars().map(String::from).collect();
        assert_eq!(
            as_json(&cells[..7], &columns),
            r#"{"a":"a\"b","b":-3,"c":null,"d":true,"e":"18446744073709551615","f":"00ff","g":0.5}"#
        );
        assert_eq!(
            as_json(&cells[7..], &columns),
            r#"{"a":"","b":-9223372036854775808,"c":"inf","d":false,"e":0,"f":"00ff","g":-1.0}"#
        );
        assert!(cells[4].value().is_err() && Cell::Float(f64::NAN).value().is_err());
    }
}
