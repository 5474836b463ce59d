//! Records as rows: each field of a record is a cell, told one after the other to a writer of cells.

use std::fmt::{self, Display};

use serde::{
    Serialize,
    ser::{self, Impossible},
};

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

/// Writes one cell, and says what it is; `Fault::Parts` if it has parts, which is nothing for one cell.
struct CellWriter<'a, C>(&'a mut C);

macro_rules! scalars {
    ($($method:ident($t:ty) $kind:ident $put:ident)*) => {$(
        fn $method(self, value: $t) -> Result<Kind, Fault> {
            self.0.$put(value.into());
            Ok(Kind::$kind)
        }
    )*};
}

impl<C: Cells> ser::Serializer for CellWriter<'_, C> {
    type Ok = Kind;
    type Error = Fault;
    type SerializeSeq = Impossible<Kind, Fault>;
    type SerializeTuple = Impossible<Kind, Fault>;
    type SerializeTupleStruct = Impossible<Kind, Fault>;
    type SerializeTupleVariant = Impossible<Kind, Fault>;
    type SerializeMap = Impossible<Kind, Fault>;
    type SerializeStruct = Impossible<Kind, Fault>;
    type SerializeStructVariant = Impossible<Kind, Fault>;

    scalars! {
        serialize_bool(bool) Boolean boolean
        serialize_i8(i8) Integer integer
        serialize_i16(i16) Integer integer
        serialize_i32(i32) Integer integer
        serialize_i64(i64) Integer integer
        serialize_i128(i128) Integer integer
        serialize_u8(u8) Integer integer
        serialize_u16(u16) Integer integer
        serialize_u32(u32) Integer integer
        serialize_u64(u64) Integer integer
        serialize_f32(f32) Float float
        serialize_f64(f64) Float float
        serialize_str(&str) Text text
        serialize_bytes(&[u8]) Bytes bytes
    }

    fn serialize_u128(self, value: u128) -> Result<Kind, Fault> {
        let value = i128::try_from(value).map_err(|_| Fault::Refused(format!("{value} is too large")))?;
        self.serialize_i128(value)
    }

    fn serialize_char(self, value: char) -> Result<Kind, Fault> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<Kind, Fault> {
        self.0.null();
        Ok(Kind::Unknown)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Kind, Fault> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Kind, Fault> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Kind, Fault> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Kind, Fault> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Kind, Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Kind, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Fault> {
        Err(Fault::Parts)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Fault> {
        Err(Fault::Parts)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Cells as text, for people.
    #[derive(Default)]
    struct Text(String);

    impl Cells for Text {
        fn null(&mut self) {
            self.0 += "null ";
        }

        fn boolean(&mut self, value: bool) {
            self.0 += &format!("{value} ");
        }

        fn integer(&mut self, value: i128) {
            self.0 += &format!("{value} ");
        }

        fn float(&mut self, value: f64) {
            self.0 += &format!("{value:?} ");
        }

        fn text(&mut self, value: &str) {
            self.0 += &format!("'{value}' ");
        }

        fn bytes(&mut self, value: &[u8]) {
            self.0 += &format!("{value:02x?} ");
        }

        fn end(&mut self) {
            self.0.push(';');
        }
    }

    fn rows<T: Serialize>(records: &[T]) -> Result<Rows<Text>, String> {
        let mut rows = Rows::default();
        records.iter().try_for_each(|record| rows.push(record)).map(|()| rows)
    }

    #[derive(Serialize)]
    enum Colour {
        Red,
        Mixed(u8, u8),
    }

    #[derive(Serialize)]
    struct Order {
        id: u64,
        price: Option<f32>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tags: Vec<&'static str>,
        colour: Colour,
    }

    #[test]
    fn a_struct_is_a_row_by_names() {
        let orders = [
            Order { id: 1, price: None, tags: vec![], colour: Colour::Red },
            Order { id: u64::MAX, price: Some(0.5), tags: vec!["a", "b"], colour: Colour::Red },
        ];
        let rows = rows(&orders).unwrap();
        assert_eq!(rows.cells.0, "1 null null 'Red' ;18446744073709551615 0.5 '[\"a\",\"b\"]' 'Red' ;");
        assert_eq!(rows.names(), ["id", "price", "tags", "colour"]);
        assert_eq!(rows.kinds, [Kind::Integer, Kind::Float, Kind::Json, Kind::Text]);
        let mixed = [Order { id: 1, price: None, tags: vec![], colour: Colour::Mixed(1, 2) }];
        assert!(super::tests::rows(&mixed).unwrap().cells.0.contains(r#"'{"Mixed":[1,2]}'"#));
    }

    #[test]
    fn a_tuple_is_a_row_by_positions_and_a_value_is_one_cell() {
        let pairs = rows(&[("be", 2u64, true, 'x')]).unwrap();
        assert_eq!((pairs.cells.0.as_str(), pairs.names()), ("'be' 2 true 'x' ;", &[][..]));
        assert_eq!(rows(&["a", "b"]).unwrap().cells.0, "'a' ;'b' ;");
        assert_eq!(rows(&[Some(1), None]).unwrap().cells.0, "1 ;null ;");
        let bytes = dstream_core::Bytes::from_static(b"\x00a");
        assert_eq!(rows(&[(bytes,)]).unwrap().cells.0, "[00, 61] ;");
    }

    #[test]
    fn what_has_no_fixed_fields_is_refused() {
        let refusal = |outcome: Result<Rows<Text>, String>| outcome.err().unwrap();
        assert!(refusal(rows(&[BTreeMap::from([("a", 1)])])).contains("has no fixed fields"));
        assert!(refusal(rows(&[Colour::Mixed(1, 2)])).contains("the enum `Colour`"));
        assert!(refusal(rows(&[()])).contains("has no fields"));
        assert!(refusal(rows(&[vec![1], vec![1, 2]])).contains("have the same fields"));
        assert!(refusal(rows(&[vec![1, 2], vec![1]])).contains("has 1 fields, and others have 2"));
    }
}
