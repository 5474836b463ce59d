//! Keys, values and records of a program as MessagePack, but for what could not be read back as what it was.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// MessagePack writes `Some(x)` as it writes `x`.
const LOST: &str = "it has a `Some` of nothing, as `Some(())` or `Some(None)`, which would be read back as \
                    `None`: use an enum of your own in place of `Option`";

/// What [`decode`](super::decode) reads, with the names of fields; `Err` says what can't be written.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    encode_to(&mut bytes, value).map(|()| bytes)
}

/// As [`encode`], behind what is there. After an error there may be a part of the value.
pub(crate) fn encode_to<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), String> {
    rmp_serde::encode::write_named(bytes, &Checked { value, in_some: false })
        .map_err(|error| error.to_string())
}

/// A value, or something that writes one, and whether it is directly within a `Some`.
struct Checked<T> {
    value: T,
    in_some: bool,
}

impl<T: Serialize + ?Sized> Serialize for Checked<&T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked { value: serializer, in_some: self.in_some })
    }
}

#[inline]
fn within<T: ?Sized>(value: &T) -> Checked<&T> {
    Checked { value, in_some: false }
}

macro_rules! plain {
    ($($name:ident $ty:ty;)*) => {
        $(#[inline]
        fn $name(self, value: $ty) -> Result<S::Ok, S::Error> {
            self.value.$name(value)
        })*
    };
}

impl<S: Serializer> Serializer for Checked<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    plain! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
        serialize_i128 i128;
        serialize_u8 u8;
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_u128 u128;
        serialize_f32 f32;
        serialize_f64 f64;
        serialize_char char;
        serialize_str &str;
        serialize_bytes &[u8];
        serialize_unit_struct &'static str;
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        if self.in_some { Err(S::Error::custom(LOST)) } else { self.value.serialize_none() }
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        if self.in_some { Err(S::Error::custom(LOST)) } else { self.value.serialize_unit() }
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.value.serialize_some(&Checked { value, in_some: true })
    }

    /// Written as what it holds.
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.value.serialize_newtype_struct(name, &Checked { value, in_some: self.in_some })
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.value.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.value.serialize_newtype_variant(name, index, variant, &within(value))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.value.serialize_seq(len).map(Parts)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.value.serialize_tuple(len).map(Parts)
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.value.serialize_tuple_struct(name, len).map(Parts)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.value.serialize_tuple_variant(name, index, variant, len).map(Parts)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.value.serialize_map(len).map(Parts)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.value.serialize_struct(name, len).map(Parts)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.value.serialize_struct_variant(name, index, variant, len).map(Parts)
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.value.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.value.is_human_readable()
    }
}

/// The elements or fields of a value.
struct Parts<C>(C);

macro_rules! elements {
    ($($trait:ident $element:ident;)*) => {
        $(impl<C: $trait> $trait for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.0.$element(&within(value))
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait:ident)*) => {
        $(impl<C: $trait> $trait for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.0.serialize_field(name, &within(value))
            }

            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.0.skip_field(name)
            }

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl<C: SerializeMap> SerializeMap for Parts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.0.serialize_key(&within(key))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_value(&within(value))
    }

    #[inline]
    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Debug};

    use serde::{Deserialize, Serialize, de::DeserializeOwned};

    use super::*;
    use crate::checkpoint::{Changes, decode};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Newtype<T>(T);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape<T> {
        Unit,
        New(T),
        Tuple(T, u8),
        Struct { of: T, r#type: String },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Fields<T> {
        all: Vec<Shape<T>>,
        by_name: BTreeMap<String, T>,
        pair: (T, char, f32, i128),
    }

    fn fields<T: Clone>(of: &T) -> Fields<T> {
        let new = || of.clone();
        Fields {
            all: vec![
                Shape::Unit,
                Shape::New(new()),
                Shape::Tuple(new(), 1),
                Shape::Struct { of: new(), r#type: "t".into() },
            ],
            by_name: [("a".to_owned(), new())].into(),
            pair: (new(), 'c', 1.5, -1),
        }
    }

    fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
        let bytes = encode(value).unwrap();
        assert_eq!(bytes, rmp_serde::to_vec_named(value).unwrap(), "as it was always written: {value:?}");
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    }

    #[test]
    fn values_are_written_as_by_rmp_serde_and_come_back() {
        comes_back(&fields(&7_u64));
        comes_back(&fields(&()));
        comes_back(&fields(&Some(-7)));
        comes_back(&fields(&None::<()>));
        comes_back(&fields(&None::<Option<u8>>));
        comes_back(&fields(&Some(Some(vec![None, Some(1)]))));
        comes_back(&Some(Unit));
        comes_back(&Some(Shape::New(None::<u8>)));
        comes_back(&Some(Shape::<u8>::Unit));
        comes_back(&Some(((), None::<u8>)));
        comes_back(&Some(Newtype(Some("text".to_owned()))));
        comes_back(&std::net::IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn a_some_of_nothing_is_refused_wherever_it_is() {
        fn refused<T: Serialize + Clone + DeserializeOwned + PartialEq + Debug>(value: &T) {
            let silent = rmp_serde::to_vec_named(value).unwrap();
            assert_ne!(decode::<T>(&silent).as_ref(), Ok(value), "what would come back");
            for error in [encode(value).unwrap_err(), encode(&fields(value)).unwrap_err()] {
                assert!(error.contains("`Some(None)`, which would be read back as `None`"), "{error}");
            }
        }
        refused(&Some(()));
        refused(&Some(None::<u8>));
        refused(&Some(Some(None::<u8>)));
        refused(&Some(Some(())));
        refused(&Some(Newtype(None::<u8>)));
        refused(&Newtype(Some(Box::new(()))));
        assert!(encode(&Some(vec![Some(())])).is_err());
    }

    #[test]
    fn changes_fail_with_it_and_hold_nothing_of_it() {
        let mut changes = Changes::new();
        changes.put("a", &(1, Some(2)));
        changes.put("b", &(1, Some(())));
        assert!(changes.failure().is_some_and(|what| what.contains("`Some`")), "{changes:?}");
        assert_eq!(changes.iter().count(), 1);
    }
}
