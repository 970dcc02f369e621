//! The elements of lists and the entries of maps, handed to serde one by one.

use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, IntoDeserializer};

use super::{Error, MAX_ELEMENTS, MAX_LIST, Reader};

/// The elements of a list or the entries of a map, counted against the limits where they are kept.
pub(super) struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    count: usize,
    counted: bool,
}

impl<'r, 'de> Items<'r, 'de> {
    pub(super) fn new(reader: &'r mut Reader<'de>, counted: bool) -> Self {
        Items {
            reader,
            count: 0,
            counted,
        }
    }

    #[inline]
    fn next(&mut self, close: u8) -> Result<bool, Error> {
        if !self.reader.another(close, self.count == 0)? {
            return Ok(false);
        }
        self.count += 1;
        if self.counted {
            self.reader.elements += 1;
            if self.count > MAX_LIST {
                return Err(self
                    .reader
                    .error(format!("more than {MAX_LIST} elements in one list")));
            }
            if self.reader.elements > MAX_ELEMENTS {
                return Err(self
                    .reader
                    .error(format!("more than {MAX_ELEMENTS} elements in all")));
            }
        }
        Ok(true)
    }
}

/// The elements of a list.
pub(super) struct List<'r, 'de> {
    pub(super) items: Items<'r, 'de>,
}

impl<'de> de::SeqAccess<'de> for List<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.items.next(b']')? {
            seed.deserialize(&mut *self.items.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The entries of a map.
pub(super) struct Map<'r, 'de> {
    pub(super) items: Items<'r, 'de>,
}

impl<'de> de::MapAccess<'de> for Map<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if !self.items.next(b'}')? {
            return Ok(None);
        }
        self.items.reader.peek();
        let key = match self.items.reader.string()? {
            Cow::Borrowed(text) => seed.deserialize(de::value::BorrowedStrDeserializer::new(text)),
            Cow::Owned(text) => seed.deserialize(text.into_deserializer()),
        };
        self.items.reader.place(key).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.items.reader.take(b':', "':'")?;
        seed.deserialize(&mut *self.items.reader)
    }
}
