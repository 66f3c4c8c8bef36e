//! The keys of `Metadata: {lbuild: …}`, as any type that serde can read.

use std::fmt::Display;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};

use super::value::{Key, Kind, Value};
use crate::frontend::fault::{Fault, Parsed};

/// Reads a value. A number or a boolean is a string where a string is wanted.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Parsed<T> {
    T::deserialize(value).map_err(|Failure { at, message }| Fault::new(at.unwrap_or(value.at), message))
}

/// An error, with the place of the innermost value that could not be read.
#[derive(Debug)]
pub(super) struct Failure {
    at: Option<usize>,
    message: String,
}

impl Failure {
    fn or_at(self, at: usize) -> Failure {
        Failure { at: self.at.or(Some(at)), ..self }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: Display>(message: T) -> Failure {
        Failure { at: None, message: message.to_string() }
    }
}

impl<'de> IntoDeserializer<'de, Failure> for &'de Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Value {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let read = match &self.kind {
            Kind::Text { text, is_plain: true } if text == "true" || text == "false" => {
                visitor.visit_bool(text == "true")
            }
            Kind::Text { text, .. } => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Kind::Map(entries) => visitor.visit_map(Entries { rest: entries, value: None }),
            Kind::Nothing => visitor.visit_unit(),
        };
        read.map_err(|failure| failure.or_at(self.at))
    }

    /// As YAML 1.1 has them, also as the text of a parameter.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.as_bool() {
            Some(value) => visitor.visit_bool(value),
            None => self.deserialize_any(visitor),
        }
    }

    /// Nothing is a mapping without entries.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.kind {
            Kind::Nothing => visitor.visit_map(Entries { rest: &[], value: None }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.kind {
            Kind::Text { text, .. } => {
                visitor.visit_str(text).map_err(|failure: Failure| failure.or_at(self.at))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.kind {
            Kind::Nothing => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let read = match &self.kind {
            Kind::Text { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            Kind::Map(entries) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries { rest: entries, value: None }))
            }
            _ => return self.deserialize_any(visitor),
        };
        read.map_err(|failure| failure.or_at(self.at))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// The entries of a mapping that are still to be read.
struct Entries<'de> {
    rest: &'de [(Key, Value)],
    value: Option<&'de Value>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let [(key, value), rest @ ..] = self.rest else { return Ok(None) };
        (self.rest, self.value) = (rest, Some(value));
        let name: serde::de::value::StrDeserializer<'_, Failure> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|failure| failure.or_at(key.at))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(|failure| failure.or_at(value.at)),
            None => Err(serde::de::Error::custom("a value is missing")),
        }
    }
}
