//! A record as the cells of a table's row, or as a label.
//!
//! A chart shows few records of a batch. So they are written as MessagePack, in which structs have the names
//! of their fields, and read again as what they consist of: nothing here follows the shapes of `serde` twice.

use std::fmt::{self, Display};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

/// How many characters of a text are shown: a record may have more than any screen.
const SHOWN: usize = 300;

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Cell {
    /// Nothing, such as `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A negative integer.
    Int(i64),
    /// Any other integer.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text; also what has parts of its own, such as a list. It ends in `…` behind 300 characters.
    Text(String),
}

/// A value as one text.
pub(super) fn label<T: Serialize>(value: &T) -> String {
    shortened(Value::of(value).to_string())
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A record as a row: the fields of a struct under their names, and what has no name under its number.
pub(super) fn row<T: Serialize>(record: &T) -> Vec<(String, Cell)> {
    let mut row = Vec::new();
    match Value::of(record) {
        Value::List(elements) => elements.into_iter().for_each(|element| element.add_to(&mut row)),
        value => value.add_to(&mut row),
    }
    row
}

/// What a value consists of.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Cell(Cell),
    List(Vec<Value>),
    Fields(Vec<(String, Value)>),
}

impl Value {
    fn of<T: Serialize>(value: &T) -> Value {
        let mut bytes = Vec::new();
        let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
        // A value that can't be serialised says so where it would stand: a chart fails no batch.
        let failed = |why: String| Value::Cell(Cell::Text(why));
        match value.serialize(&mut serializer) {
            Ok(()) => rmp_serde::from_slice(&bytes).unwrap_or_else(|error| failed(error.to_string())),
            Err(error) => failed(error.to_string()),
        }
    }

    fn into_cell(self) -> Cell {
        match self {
            Value::Cell(Cell::Text(text)) => Cell::Text(shortened(text)),
            Value::Cell(cell) => cell,
            parts => Cell::Text(shortened(parts.to_string())),
        }
    }

    /// Adds it to a row as one column, or as one for each field.
    fn add_to(self, row: &mut Vec<(String, Cell)>) {
        match self {
            Value::Fields(fields) => {
                row.extend(fields.into_iter().map(|(name, value)| (name, value.into_cell())));
            }
            value => row.push(((row.len() + 1).to_string(), value.into_cell())),
        }
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => Ok(()),
            Cell::Bool(value) => value.fmt(f),
            Cell::Int(value) => value.fmt(f),
            Cell::UInt(value) => value.fmt(f),
            Cell::Float(value) => value.fmt(f),
            Cell::Text(value) => value.fmt(f),
        }
    }
}

/// Parts stand one behind another: `a, b` and `x: 1, y: 2`.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = |at: usize| if at == 0 { "" } else { ", " };
        match self {
            Value::Cell(cell) => cell.fmt(f),
            Value::List(parts) => {
                parts.iter().enumerate().try_for_each(|(at, part)| write!(f, "{}{part}", separator(at)))
            }
            Value::Fields(fields) => fields
                .iter()
                .enumerate()
                .try_for_each(|(at, (name, part))| write!(f, "{}{name}: {part}", separator(at))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Null))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Cell(u64::try_from(value).map_or(Cell::Int(value), Cell::UInt)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Cell(Cell::UInt(value)))
    }

    // By its shortest decimal: 0.1 as an `f64` would be shown as 0.10000000149011612.
    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Float(value.to_string().parse().unwrap_or(f64::NAN))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Text(value.to_owned())))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Cell(Cell::Text(value.escape_ascii().to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(part) = parts.next_element()? {
            list.push(part);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = entries.next_entry::<Value, Value>()? {
            fields.push((name.to_string(), value));
        }
        Ok(Value::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use super::*;

    #[derive(Serialize)]
    struct Place {
        city: &'static str,
        people: Option<u32>,
        at: (f32, f64),
    }

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Of(u8),
        With { x: i8 },
    }

    const PLACE: Place = Place { city: "Bern", people: None, at: (0.1, -2.5) };

    fn shown<T: Serialize>(record: T) -> String {
        row(&record).iter().map(|(name, cell)| format!("{name}={cell}")).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_row_has_a_column_for_each_field() {
        assert_eq!(shown(&PLACE), "city=Bern|people=|at=0.1, -2.5");
        assert_eq!(shown((7u8, &PLACE, true)), "1=7|city=Bern|people=|at=0.1, -2.5|5=true");
        assert_eq!(shown((("a", 1), vec![1, 2], -3)), "1=a, 1|2=1, 2|3=-3");
        assert_eq!(shown("text"), "1=text");
        assert_eq!(shown(BTreeMap::from([("b", 2), ("a", 1)])), "a=1|b=2");
        assert_eq!(
            row(&(1u8, -1i8, 0.5f32, None::<u8>)),
            [
                ("1".into(), Cell::UInt(1)),
                ("2".into(), Cell::Int(-1)),
                ("3".into(), Cell::Float(0.5)),
                ("4".into(), Cell::Null),
            ]
        );
    }

    #[test]
    fn a_label_is_one_text() {
        assert_eq!(label(&("a", 1, 'c')), "a, 1, c");
        assert_eq!(label(&Ipv4Addr::LOCALHOST), "127.0.0.1");
        assert_eq!(
            [label(&Kind::Plain), label(&Kind::Of(3)), label(&Kind::With { x: 1 })],
            ["Plain", "Of: 3", "With: x: 1"]
        );
        assert_eq!(label(&PLACE), "city: Bern, people: , at: 0.1, -2.5");
        assert_eq!(label(&u64::MAX), u64::MAX.to_string());
        assert_eq!(label(&()), "");
        assert_eq!(label(&"ü".repeat(300)), "ü".repeat(300));
        assert_eq!(label(&"ü".repeat(301)), "ü".repeat(300) + "…");
        assert_eq!(row(&(7, "x".repeat(400)))[1].1, Cell::Text("x".repeat(300) + "…"));
    }
}
