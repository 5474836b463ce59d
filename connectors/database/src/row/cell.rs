//! One cell of a row: a value without parts.

use serde::{
    Serialize,
    ser::{self, Impossible},
};

use super::{Cells, Fault, Kind};

/// Writes one cell, and says what it is; `Fault::Parts` if it has parts, which is nothing for one cell.
pub(super) struct CellWriter<'a, C>(pub(super) &'a mut C);

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
