//! Records as rows: each field of a record is a cell, told one after the other to a writer of cells.

mod cell;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};

use serde::{
    Serialize,
    ser::{self, Impossible},
};

use self::cell::CellWriter;

/// Takes the cells of rows, in the encoding of a database.
pub trait Cells {
    /// `NULL`.
    fn null(&mut self);
    /// A truth value.
    fn boolean(&mut self, value: bool);
    /// A whole number.
    fn integer(&mut self, value: i128);
    /// A floating-point number.
    fn float(&mut self, value: f64);
    /// Text, also JSON.
    fn text(&mut self, value: &str);
    /// Bytes.
    fn bytes(&mut self, value: &[u8]);
    /// The row is complete.
    fn end(&mut self);
}

/// What a cell is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Only `NULL` was seen.
    #[default]
    Unknown,
    /// `bool`.
    Boolean,
    /// Whole numbers.
    Integer,
    /// `f32` and `f64`.
    Float,
    /// Text, characters, and enums without data.
    Text,
    /// Bytes.
    Bytes,
    /// Whatever has parts: it is written as JSON.
    Json,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unknown => "always NULL",
            Kind::Boolean => "a truth value",
            Kind::Integer => "a whole number",
            Kind::Float => "a floating-point number",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Json => "a value with parts, which is written as JSON",
        })
    }
}

/// Rows of a partition, encoded.
#[derive(Debug, Default)]
pub struct Rows<C> {
    /// The encoded cells.
    pub cells: C,
    /// How many rows there are.
    pub len: usize,
    /// The names of the fields; empty if they have none.
    names: Vec<&'static str>,
    /// What the cells of each column are.
    kinds: Vec<Kind>,
}

impl<C: Cells> Rows<C> {
    /// Appends a record: the fields of a struct by their names, those of a tuple by their positions, and
    /// anything else as a single column.
    pub fn push<T: Serialize>(&mut self, record: &T) -> Result<(), String> {
        let first = self.len == 0;
        let mut row = RowWriter { rows: self, first, at: 0 };
        record.serialize(&mut row).map_err(|fault| fault.to_string())?;
        if row.at == 0 {
            return Err("a record has no fields, so there is nothing to write into a table".into());
        }
        let (width, at) = (row.rows.kinds.len(), row.at);
        if width != at {
            return Err(format!("a record has {at} fields, and others have {width}"));
        }
        self.cells.end();
        self.len += 1;
        Ok(())
    }

    /// The names of the fields; empty if they have none.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// What the cells of each column are, in any of the partitions.
    pub fn kinds_of_all(parts: &[Rows<C>]) -> Vec<Kind> {
        let width = parts.first().map_or(0, |part| part.kinds.len());
        let kind = |column: usize| {
            let kinds = parts.iter().filter_map(|part| part.kinds.get(column)).copied();
            kinds.into_iter().find(|kind| *kind != Kind::Unknown).unwrap_or_default()
        };
        (0..width).map(kind).collect()
    }
}

/// Why a record can't be a row.
#[derive(Debug)]
enum Fault {
    /// A cell has parts.
    Parts,
    /// Anything else.
    Refused(String),
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Parts => "a cell has parts",
            Fault::Refused(fault) => fault,
        })
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<M: Display>(message: M) -> Fault {
        Fault::Refused(message.to_string())
    }
}

/// Writes one record.
struct RowWriter<'a, C> {
    rows: &'a mut Rows<C>,
    first: bool,
    /// How many cells it has so far.
    at: usize,
}

impl<C: Cells> RowWriter<'_, C> {
    fn cell<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Result<(), Fault> {
        if self.first {
            self.rows.names.extend(name);
            self.rows.kinds.push(Kind::Unknown);
        } else {
            let expected = self.rows.names.get(self.at);
            if self.at >= self.rows.kinds.len() || expected.copied() != name {
                let (name, expected) = (name.unwrap_or("one more"), expected.copied().unwrap_or("none"));
                return Err(Fault::Refused(format!(
                    "a record has the field `{name}` where others have `{expected}`: records of a table have \
                     the same fields"
                )));
            }
        }
        let kind = match value.serialize(CellWriter(&mut self.rows.cells)) {
            Err(Fault::Parts) => {
                let json = serde_json::to_string(value).map_err(|error| Fault::Refused(error.to_string()))?;
                self.rows.cells.text(&json);
                Kind::Json
            }
            written => written?,
        };
        let known = &mut self.rows.kinds[self.at];
        if *known == Kind::Unknown {
            *known = kind;
        }
        self.at += 1;
        Ok(())
    }
}

macro_rules! single_cells {
    ($($method:ident($t:ty))*) => {$(
        fn $method(self, value: $t) -> Result<(), Fault> {
            self.cell(None, &value)
        }
    )*};
}

impl<C: Cells> ser::Serializer for &mut RowWriter<'_, C> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Fault>;
    type SerializeMap = Impossible<(), Fault>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Fault>;

    single_cells! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char) serialize_str(&str)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Fault> {
        self.cell(None, &Blob(value))
    }

    fn serialize_none(self) -> Result<(), Fault> {
        self.cell(None, &None::<()>)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Fault> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Fault> {
        self.cell(None, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Fault> {
        Err(no_row(name))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Fault> {
        Err(no_row(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        Err(Fault::Refused(
            "a map, or a struct with `#[serde(flatten)]`, has no fixed fields: write a struct or a tuple"
                .into(),
        ))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Fault> {
        Err(no_row(name))
    }
}

fn no_row(name: &str) -> Fault {
    Fault::Refused(format!("a value of the enum `{name}` has no fixed fields: write a struct or a tuple"))
}

impl<C: Cells> ser::SerializeSeq for &mut RowWriter<'_, C> {
    type Ok = ();
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.cell(None, value)
    }

    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<C: Cells> ser::SerializeTuple for &mut RowWriter<'_, C> {
    type Ok = ();
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.cell(None, value)
    }

    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<C: Cells> ser::SerializeTupleStruct for &mut RowWriter<'_, C> {
    type Ok = ();
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.cell(None, value)
    }

    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<C: Cells> ser::SerializeStruct for &mut RowWriter<'_, C> {
    type Ok = ();
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Fault> {
        self.cell(Some(key), value)
    }

    /// A field that serde leaves out of this record.
    fn skip_field(&mut self, key: &'static str) -> Result<(), Fault> {
        self.cell(Some(key), &None::<()>)
    }

    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Bytes, as a value.
struct Blob<'a>(&'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
