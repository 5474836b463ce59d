//! The shape of a type: what its `Deserialize` asks for, as text. Unlike the name of the type, which the
//! standard library does not promise, it is fixed by the type's own code: the names of its structs, fields
//! and variants, and the kinds of its values.
//!
//! ```text
//! Visit{page:string,millis:u64}
//! [(string,?u32)]
//! ```
//!
//! Of an enum it has the names of all variants and what the first one holds. Where a type refuses the values
//! that it is shown here (such as text that is no date), the shape ends.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::Error,
};

/// A type that holds itself has no end.
const DEPTH: usize = 12;
const LENGTH: usize = 4096;

/// The shape of `T`.
pub(super) fn shape<T: DeserializeOwned>() -> String {
    let mut shape = String::new();
    // It is the way that counts.
    let _ = T::deserialize(Tracer { shape: &mut shape, depth: 0 });
    shape
}

struct Tracer<'a> {
    shape: &'a mut String,
    depth: usize,
}

impl Tracer<'_> {
    fn inner(&mut self) -> Tracer<'_> {
        Tracer { shape: self.shape, depth: self.depth + 1 }
    }

    fn say(&mut self, text: &str) -> Result<(), Error> {
        if self.shape.len() > LENGTH {
            return Err(Error::custom("too long"));
        }
        self.shape.push_str(text);
        Ok(())
    }

    fn is_deep(&self) -> bool {
        self.depth >= DEPTH
    }

    /// `open`, so many elements and `close`.
    fn elements<'de, V: Visitor<'de>>(
        mut self,
        open: &str,
        names: Option<&'static [&'static str]>,
        count: usize,
        close: &str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(open)?;
        let value = visitor.visit_seq(Elements { tracer: self.inner(), names, at: 0, count })?;
        self.say(close)?;
        Ok(value)
    }
}

macro_rules! primitives {
    ($($method:ident $name:literal $visit:ident $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.say($name)?;
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    // One, since some types refuse zero.
    primitives! {
        deserialize_bool "bool" visit_bool false;
        deserialize_i8 "i8" visit_i8 1;
        deserialize_i16 "i16" visit_i16 1;
        deserialize_i32 "i32" visit_i32 1;
        deserialize_i64 "i64" visit_i64 1;
        deserialize_i128 "i128" visit_i128 1;
        deserialize_u8 "u8" visit_u8 1;
        deserialize_u16 "u16" visit_u16 1;
        deserialize_u32 "u32" visit_u32 1;
        deserialize_u64 "u64" visit_u64 1;
        deserialize_u128 "u128" visit_u128 1;
        deserialize_f32 "f32" visit_f32 1.0;
        deserialize_f64 "f64" visit_f64 1.0;
        deserialize_char "char" visit_char 'a';
        deserialize_str "string" visit_str "";
        deserialize_string "string" visit_str "";
        deserialize_bytes "bytes" visit_bytes &[];
        deserialize_byte_buf "bytes" visit_bytes &[];
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.say("()")?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.say("?")?;
        if self.is_deep() { visitor.visit_none() } else { visitor.visit_some(self.inner()) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(name)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(name)?;
        self.say("(")?;
        let value = visitor.visit_newtype_struct(self.inner())?;
        self.say(")")?;
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let count = usize::from(!self.is_deep());
        self.elements("[", None, count, "]", visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.elements("(", None, len, ")", visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(name)?;
        self.elements("(", None, len, ")", visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.say("[")?;
        let left = !self.is_deep();
        let value = visitor.visit_map(Entries { tracer: self.inner(), left })?;
        self.say("]")?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(name)?;
        self.elements("{", Some(fields), fields.len(), "}", visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.say(name)?;
        self.say("{")?;
        self.say(&variants.join("|"))?;
        self.say("}")?;
        visitor.visit_enum(self)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // The first variant.
        visitor.visit_u32(0)
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value, Error> {
        self.say("any")?;
        Err(Error::custom("the format does not describe itself"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence, or the fields of a struct.
struct Elements<'a> {
    tracer: Tracer<'a>,
    names: Option<&'static [&'static str]>,
    at: usize,
    count: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.at >= self.count {
            return Ok(None);
        }
        if self.at > 0 {
            self.tracer.say(",")?;
        }
        if let Some(name) = self.names.and_then(|names| names.get(self.at)) {
            self.tracer.say(name)?;
            self.tracer.say(":")?;
        }
        self.at += 1;
        seed.deserialize(self.tracer.inner()).map(Some)
    }
}

/// The only entry of a map.
struct Entries<'a> {
    tracer: Tracer<'a>,
    left: bool,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !std::mem::take(&mut self.left) {
            return Ok(None);
        }
        seed.deserialize(self.tracer.inner()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.tracer.say("=")?;
        seed.deserialize(self.tracer.inner())
    }
}

impl<'de> EnumAccess<'de> for Tracer<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self), Error> {
        let value = seed.deserialize(self.inner())?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.inner())
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.elements("{", Some(fields), fields.len(), "}", visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, num::NonZeroU64};

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::Str;

    #[derive(Serialize, Deserialize)]
    #[allow(dead_code)]
    struct Visit {
        page: String,
        millis: NonZeroU64,
    }

    #[derive(Serialize, Deserialize)]
    #[allow(dead_code)]
    enum Event {
        Visit(Visit),
        Gone,
    }

    #[derive(Serialize, Deserialize)]
    struct Meters(f64);

    #[derive(Serialize, Deserialize)]
    struct Node {
        next: Option<Box<Node>>,
    }

    #[test]
    fn a_shape_is_what_a_type_is_made_of() {
        assert_eq!(shape::<(u8, Vec<Option<String>>)>(), "(u8,[?string])");
        assert_eq!(shape::<Str>(), "string");
        assert_eq!(shape::<()>(), "()");
        assert_eq!(shape::<[u16; 2]>(), "(u16,u16)");
        assert_eq!(shape::<BTreeMap<char, Meters>>(), "[char=Meters(f64)]");
        assert_eq!(shape::<Visit>(), "Visit{page:string,millis:u64}");
        assert_eq!(shape::<Event>(), "Event{Visit|Gone}Visit{page:string,millis:u64}");
    }

    #[test]
    fn a_type_that_holds_itself_has_a_shape() {
        let text = shape::<Node>();
        assert!(text.starts_with("Node{next:?Node{next:?") && text.len() < 2 * LENGTH, "{text}");
    }
}
