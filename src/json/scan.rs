//! The byte level: white space, strings, numbers, and the checked skip of a whole value.

use std::borrow::Cow;

use super::{Error, Reader};

/// The deepest nesting that is skipped; Go's decoder stops at the same depth.
pub const MAX_SKIP_DEPTH: usize = 10_000;

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The distance from the start of `bytes` to the next quote, backslash or control character, eight
/// bytes at a time; the length of `bytes` if there is none.
fn special(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut distance = 0;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if found != 0 {
            return distance + (found.trailing_zeros() / 8) as usize;
        }
        distance += 8;
        rest = tail;
    }
    let tail = rest
        .iter()
        .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
        .unwrap_or(rest.len());
    distance + tail
}

/// Which containers are open around a position: one bit each, set for an object.
#[derive(Default)]
struct Open {
    top: u64,
    below: Vec<u64>,
    depth: usize,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = (self.top << 1) | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.top >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost container is an object, or nothing is open.
    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.top & 1 == 1)
    }
}

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
    fn unexpected(&self, expected: &str) -> Error {
        match self.text.get(self.pos..).and_then(|rest| rest.chars().next()) {
            Some(found) => self.error(format!("expected {expected}, found {found:?}")),
            None => self.error(format!("expected {expected}, found the end of the text")),
        }
    }

    /// The next byte that is no white space, without taking it; 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        let bytes = self.bytes();
        loop {
            match bytes.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
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
        self.pos += special(self.rest());
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
            self.pos += special(self.rest());
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

    #[inline]
    fn skip_string(&mut self) -> Result<(), Error> {
        self.take(b'"', "a string")?;
        loop {
            self.pos += special(self.rest());
            match self.bytes().get(self.pos) {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => self.skip_escape()?,
                _ => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Error> {
        self.pos += 1;
        let byte = self.bytes().get(self.pos).copied().unwrap_or_default();
        self.pos += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => self.hex().map(drop),
            _ => Err(self.error("an unknown escape")),
        }
    }

    /// Takes a number and gives its text.
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.pos;
        if self.bytes().get(self.pos) == Some(&b'-') {
            self.pos += 1;
        }
        let leading_zero = self.bytes().get(self.pos) == Some(&b'0');
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            return Err(self.error("a number with a leading zero"));
        }
        if self.bytes().get(self.pos) == Some(&b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes().get(self.pos) {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.bytes().get(self.pos) {
                self.pos += 1;
            }
            self.digits()?;
        }
        self.slice(start)
    }

    fn digits(&mut self) -> Result<usize, Error> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.pos += count;
        if count == 0 {
            return Err(self.unexpected("a digit"));
        }
        Ok(count)
    }

    /// Takes one value of any kind and depth, checking that it is JSON.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                b'"' => self.skip_string()?,
                b'{' => {
                    self.pos += 1;
                    if self.peek() == b'}' {
                        self.pos += 1;
                    } else {
                        self.enter(&mut open, true)?;
                        continue;
                    }
                }
                b'[' => {
                    self.pos += 1;
                    if self.peek() == b']' {
                        self.pos += 1;
                    } else {
                        self.enter(&mut open, false)?;
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => drop(self.number()?),
                _ => return Err(self.unexpected("a value")),
            }
            if self.leave(&mut open)? {
                return Ok(());
            }
        }
    }

    fn enter(&mut self, open: &mut Open, object: bool) -> Result<(), Error> {
        if open.depth >= MAX_SKIP_DEPTH {
            return Err(self.error(format!("a value nested deeper than {MAX_SKIP_DEPTH}")));
        }
        open.push(object);
        if object { self.skip_key() } else { Ok(()) }
    }

    fn skip_key(&mut self) -> Result<(), Error> {
        self.peek();
        self.skip_string()?;
        self.take(b':', "':'")
    }

    /// After a value: closes what ends here. Whether nothing is open any more; else the next value
    /// follows.
    fn leave(&mut self, open: &mut Open) -> Result<bool, Error> {
        loop {
            match open.innermost() {
                None => return Ok(true),
                Some(true) => match self.peek() {
                    b',' => {
                        self.pos += 1;
                        self.skip_key()?;
                        return Ok(false);
                    }
                    b'}' => {
                        self.pos += 1;
                        open.pop();
                    }
                    _ => return Err(self.unexpected("',' or '}'")),
                },
                Some(false) => match self.peek() {
                    b',' => {
                        self.pos += 1;
                        return Ok(false);
                    }
                    b']' => {
                        self.pos += 1;
                        open.pop();
                    }
                    _ => return Err(self.unexpected("',' or ']'")),
                },
            }
        }
    }
}
