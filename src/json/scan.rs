//! The byte level: white space, strings, numbers, and the checked skip of a whole value.

#![allow(
    clippy::inline_always,
    reason = "the loops over every byte of a review; measured in instructions by the benchmark"
)]

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::special::special;
use super::{Error, Reader, skip, structure};

impl<'a> Reader<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes().get(self.pos..).unwrap_or_default()
    }

    #[cold]
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            offset: self.pos,
        }
    }

    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        match self
            .text
            .get(self.pos..)
            .and_then(|rest| rest.chars().next())
        {
            Some(found) => self.error(format!("expected {expected}, found {found:?}")),
            None => self.error(format!("expected {expected}, found the end of the text")),
        }
    }

    /// The next byte that is no white space, without taking it; 0 at the end.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u8 {
        match self.bytes().get(self.pos) {
            Some(&byte) if byte > b' ' => byte,
            _ => self.peek_beyond_space(),
        }
    }

    #[cold]
    fn peek_beyond_space(&mut self) -> u8 {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.pos += self.rest().iter().take_while(space).count();
        self.rest().first().copied().unwrap_or_default()
    }

    /// Takes `byte`, or says that `expected` was.
    #[inline]
    pub(super) fn take(&mut self, byte: u8, expected: &str) -> Result<(), Error> {
        if self.peek() == byte {
            self.pos += 1;
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// That nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.peek() == 0 && self.pos >= self.text.len() {
            Ok(())
        } else {
            Err(self.unexpected("the end of the text"))
        }
    }

    /// Takes a literal such as `true`.
    #[inline]
    pub(super) fn literal(&mut self, word: &'static str) -> Result<(), Error> {
        if self.rest().starts_with(word.as_bytes()) {
            self.pos += word.len();
            Ok(())
        } else {
            Err(self.unexpected("a value"))
        }
    }

    /// Takes a string, borrowed where it holds no escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.take(b'"', "a string")?;
        let start = self.pos;
        self.pos = special(self.bytes(), self.pos);
        if self.bytes().get(self.pos) == Some(&b'"') {
            let text = self.slice(start)?;
            self.pos += 1;
            return Ok(Cow::Borrowed(text));
        }
        self.string_with_escapes(start).map(Cow::Owned)
    }

    #[cold]
    fn string_with_escapes(&mut self, mut start: usize) -> Result<String, Error> {
        let mut decoded = String::new();
        loop {
            decoded.push_str(self.slice(start)?);
            match self.bytes().get(self.pos) {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(decoded);
                }
                Some(b'\\') => decoded.push(self.escape()?),
                _ => return Err(self.unexpected("the end of a string")),
            }
            start = self.pos;
            self.pos = special(self.bytes(), self.pos);
        }
    }

    fn slice(&self, start: usize) -> Result<&'a str, Error> {
        self.text
            .get(start..self.pos)
            .ok_or_else(|| self.error("a string that breaks a character"))
    }

    /// Takes one escape and gives its character; half a surrogate pair is refused.
    fn escape(&mut self) -> Result<char, Error> {
        self.pos += 1;
        let byte = self.bytes().get(self.pos).copied().unwrap_or_default();
        self.pos += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&first) && self.rest().starts_with(b"\\u") {
                    self.pos += 2;
                    let second = self.hex()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(self.error("half a surrogate pair"));
                    }
                    0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair"))?
            }
            _ => return Err(self.error("an unknown escape")),
        })
    }

    fn hex(&mut self) -> Result<u32, Error> {
        let digits = self
            .text
            .get(self.pos..self.pos + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.pos += 4;
        code.ok_or_else(|| self.error("an escape without four hex digits"))
    }

    /// Takes a number and gives its text.
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.pos;
        self.skip()?;
        self.slice(start)
    }

    /// Takes one value of any kind and depth, checking that it is JSON unless that is known.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        if self.checked && matches!(self.peek(), b'{' | b'[') {
            let length = structure::length(self.rest());
            self.pos += length.ok_or_else(|| self.error("a value that does not end"))?;
            return Ok(());
        }
        match skip::end(self.bytes(), self.pos) {
            Some(end) => {
                self.pos = end;
                Ok(())
            }
            None => Err(self.explain()),
        }
    }

    /// What is wrong with the text from here on and where, by a second and slower look at it.
    #[cold]
    fn explain(&mut self) -> Error {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Err(error)) => {
                let lines = rest.split_inclusive('\n').map(str::len);
                let before: usize = lines.take(error.line().saturating_sub(1)).sum();
                self.pos += before + error.column().saturating_sub(1);
                let text = error.to_string();
                self.error(text.split(" at line ").next().unwrap_or_default())
            }
            Some(Ok(_)) => self.error(format!("nesting deeper than {}", skip::MAX_SKIP_DEPTH)),
            None => self.unexpected("a value"),
        }
    }
}
