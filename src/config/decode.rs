//! A tree into the structs of [`file`](super::file), through serde.
//!
//! The struct's types decide what a scalar is: the same `1.10` is a text for a model's name and a
//! number for a rate. [`shape`](super::shape) has been over the tree before, so that an error here
//! means that schema and structs disagree.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::tree::{Node, Value};

pub type Error = serde::de::value::Error;

/// Reads a `T`; the error names the path.
pub fn decode<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, serde_path_to_error::Error<Error>> {
    serde_path_to_error::deserialize(Source(node))
}

#[derive(Clone, Copy)]
struct Source<'de>(&'de Node);

impl<'de> Source<'de> {
    fn text(self) -> Result<&'de str, Error> {
        let scalar = self.0.scalar();
        scalar.map(super::tree::Scalar::text).ok_or_else(|| Error::custom("expected a single value"))
    }

    fn parsed<T: std::str::FromStr>(self, what: &str) -> Result<T, Error> {
        self.text()?.parse().map_err(|_| Error::custom(format!("expected {what}")))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Source<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.parsed($what)?)
        }
    )+};
}

impl<'de> Deserializer<'de> for Source<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_unit(),
            Value::Scalar(scalar) => visitor.visit_borrowed_str(scalar.text()),
            Value::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Source))),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.as_str(), Source(&entry.node)));
                visitor.visit_map(MapDeserializer::new(pairs))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    numbers! {
        deserialize_bool visit_bool "true or false"
        deserialize_i8 visit_i8 "a whole number"
        deserialize_i16 visit_i16 "a whole number"
        deserialize_i32 visit_i32 "a whole number"
        deserialize_i64 visit_i64 "a whole number"
        deserialize_u8 visit_u8 "a whole number"
        deserialize_u16 visit_u16 "a whole number"
        deserialize_u32 visit_u32 "a whole number"
        deserialize_u64 visit_u64 "a whole number"
        deserialize_f32 visit_f32 "a number"
        deserialize_f64 visit_f64 "a number"
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
