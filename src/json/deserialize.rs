//! The serde half: what is expected meets what is there.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Items, List, Map};
use super::{Error, MAX_DEPTH, Raw, Reader};

/// The newtype name by which [`Raw`] asks for the text of a value.
const RAW: &str = "tidegate::json::Raw";

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Error {
            message: message.to_string(),
            offset: 0,
        }
    }
}

impl<'de: 'a, 'a> de::Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Raw<'de>;
            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("any value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Raw<'de>, E> {
                Ok(Raw(text))
            }
        }
        deserializer.deserialize_newtype_struct(RAW, Text)
    }
}

impl<'de> Reader<'de> {
    /// Takes `null` if it is next.
    #[inline]
    fn null(&mut self) -> Result<bool, Error> {
        if self.peek() == b'n' {
            self.literal("null")?;
            return Ok(true);
        }
        Ok(false)
    }

    /// An error of the visitor is placed where the reader stands.
    #[inline]
    pub(super) fn place<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|mut error| {
            if error.offset == 0 {
                error.offset = self.pos;
            }
            error
        })
    }

    #[cold]
    fn mismatch<T>(&mut self, visitor: &dyn de::Expected) -> Result<T, Error> {
        let start = self.pos;
        let error = match self.peek() {
            b'"' => {
                let text = self.string()?;
                de::Error::invalid_type(Unexpected::Str(&text), visitor)
            }
            b'{' => de::Error::invalid_type(Unexpected::Map, visitor),
            b'[' => de::Error::invalid_type(Unexpected::Seq, visitor),
            b't' => de::Error::invalid_type(Unexpected::Bool(true), visitor),
            b'f' => de::Error::invalid_type(Unexpected::Bool(false), visitor),
            b'-' | b'0'..=b'9' => {
                let text = self.number()?;
                de::Error::invalid_type(Unexpected::Other(&format!("number {text}")), visitor)
            }
            _ => self.unexpected("a value"),
        };
        self.pos = start;
        self.place(Err(error))
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V, counted: bool) -> Result<V::Value, Error> {
        self.take(b'{', "'{'")?;
        self.descend()?;
        let result = visitor.visit_map(Map {
            items: Items::new(self, counted),
        });
        let value = self.place(result)?;
        self.depth -= 1;
        self.take(b'}', "'}'")?;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.take(b'[', "'['")?;
        self.descend()?;
        let result = visitor.visit_seq(List {
            items: Items::new(self, true),
        });
        let value = self.place(result)?;
        self.depth -= 1;
        self.take(b']', "']'")?;
        Ok(value)
    }

    fn descend(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("a value nested deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    /// Whether another element follows, taking the comma before it.
    #[inline]
    pub(super) fn another(&mut self, close: u8, first: bool) -> Result<bool, Error> {
        let next = self.peek();
        if next == close {
            return Ok(false);
        }
        if !first {
            self.take(
                b',',
                if close == b'}' {
                    "',' or '}'"
                } else {
                    "',' or ']'"
                },
            )?;
            if self.peek() == close {
                return Err(self.error("a comma before the end"));
            }
        }
        Ok(true)
    }
}

macro_rules! integer {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.peek() {
                b'-' | b'0'..=b'9' => {
                    let start = self.pos;
                    let text = self.number()?;
                    let result = if let Ok(value) = text.parse::<i64>() {
                        visitor.visit_i64(value)
                    } else {
                        let found = format!("number {text}");
                        Err(de::Error::invalid_type(Unexpected::Other(&found), &visitor))
                    };
                    result.map_err(|error: Error| Error { offset: start, ..error })
                }
                b'n' => {
                    self.literal("null")?;
                    visitor.visit_i64(0)
                }
                _ => self.mismatch(&visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.map(visitor, false),
            b'[' => self.list(visitor),
            b'"' => self.deserialize_str(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => {
                self.literal("null")?;
                visitor.visit_unit()
            }
            b'-' | b'0'..=b'9' => {
                let text = self.number()?;
                if let Ok(value) = text.parse::<u64>() {
                    visitor.visit_u64(value)
                } else if let Ok(value) = text.parse::<i64>()
                    && value != 0
                {
                    visitor.visit_i64(value)
                } else {
                    // `-0` too: no integer holds its sign.
                    let value: f64 = text
                        .parse()
                        .map_err(|_| self.error("a number out of range"))?;
                    if value.is_infinite() {
                        return Err(self.error("a number out of range"));
                    }
                    visitor.visit_f64(value)
                }
            }
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b't' => {
                self.literal("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.literal("false")?;
                visitor.visit_bool(false)
            }
            b'n' => {
                self.literal("null")?;
                visitor.visit_bool(false)
            }
            _ => self.mismatch(&visitor),
        }
    }

    integer! { deserialize_i32 deserialize_i64 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => {
                let result = match self.string()? {
                    Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                    Cow::Owned(text) => visitor.visit_string(text),
                };
                self.place(result)
            }
            b'n' => {
                self.literal("null")?;
                visitor.visit_borrowed_str("")
            }
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.null()? {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.pos;
        self.skip()?;
        let text = self.text.get(start..self.pos).unwrap_or_default();
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'[' => self.list(visitor),
            b'n' => {
                self.literal("null")?;
                visitor.visit_seq(de::value::SeqDeserializer::new(std::iter::empty::<u8>()))
            }
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.map(visitor, true),
            b'n' => {
                self.literal("null")?;
                visitor.visit_map(de::value::MapDeserializer::new(
                    std::iter::empty::<(u8, u8)>(),
                ))
            }
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.map(visitor, false),
            b'n' => {
                self.literal("null")?;
                visitor.visit_map(de::value::MapDeserializer::new(
                    std::iter::empty::<(u8, u8)>(),
                ))
            }
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum
    }
}
