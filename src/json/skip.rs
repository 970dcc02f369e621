//! Walking over a value that nobody reads, checking that it is JSON.
//!
//! This is where most of the bytes of a review go, so it is written for that: one byte decides what
//! follows, strings are looked at sixteen bytes at a time, positions are passed by value, and nesting
//! takes a bit instead of a stack frame. What is wrong with a text that is no JSON is not found out
//! here but by who asks for it.

#![allow(
    clippy::inline_always,
    reason = "the loops over every byte of a review; measured in instructions by the benchmark"
)]

use super::special::special;

/// The deepest nesting that is skipped; Go's decoder stops at the same depth.
pub const MAX_SKIP_DEPTH: usize = 10_000;

/// The end of the value that starts at `pos`; `None` if there is none or it nests too deep.
pub(super) fn end(bytes: &[u8], mut pos: usize) -> Option<usize> {
    let mut open = Open::default();
    loop {
        match next(bytes, &mut pos) {
            b'"' => pos = string(bytes, pos)?,
            b'{' => {
                pos += 1;
                if next(bytes, &mut pos) != b'}' {
                    open.push(true)?;
                    pos = key(bytes, pos)?;
                    continue;
                }
                pos += 1;
            }
            b'[' => {
                pos += 1;
                if next(bytes, &mut pos) != b']' {
                    open.push(false)?;
                    continue;
                }
                pos += 1;
            }
            b'-' | b'0'..=b'9' => pos = number(bytes, pos)?,
            b't' => pos = literal(bytes, pos, b"true")?,
            b'f' => pos = literal(bytes, pos, b"false")?,
            b'n' => pos = literal(bytes, pos, b"null")?,
            _ => return None,
        }
        // After a value: the brackets that close here, up to the comma before the next value.
        loop {
            let Some(object) = open.innermost() else {
                return Some(pos);
            };
            match next(bytes, &mut pos) {
                b',' => {
                    pos += 1;
                    if object {
                        next(bytes, &mut pos);
                        pos = key(bytes, pos)?;
                    }
                    break;
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return None,
            }
            pos += 1;
            open.pop();
        }
    }
}

/// The byte at `pos`; 0, which is never JSON outside a string, at the end.
#[inline(always)]
fn byte(bytes: &[u8], pos: usize) -> u8 {
    bytes.get(pos).copied().unwrap_or_default()
}

/// Moves to the next byte that is no white space, and gives it.
#[inline(always)]
fn next(bytes: &[u8], pos: &mut usize) -> u8 {
    let mut found = byte(bytes, *pos);
    while matches!(found, b' ' | b'\n' | b'\r' | b'\t') {
        *pos += 1;
        found = byte(bytes, *pos);
    }
    found
}

/// The end of a key and its colon.
#[inline(always)]
fn key(bytes: &[u8], pos: usize) -> Option<usize> {
    if byte(bytes, pos) != b'"' {
        return None;
    }
    let mut pos = string(bytes, pos)?;
    (next(bytes, &mut pos) == b':').then_some(pos + 1)
}

/// The end of the string whose opening quote is at `pos`.
#[inline(always)]
fn string(bytes: &[u8], mut pos: usize) -> Option<usize> {
    pos += 1;
    loop {
        pos = special(bytes, pos);
        match byte(bytes, pos) {
            b'"' => return Some(pos + 1),
            b'\\' => pos = escape(bytes, pos + 1)?,
            _ => return None,
        }
    }
}

fn escape(bytes: &[u8], pos: usize) -> Option<usize> {
    match byte(bytes, pos) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(pos + 1),
        b'u' => {
            let digits = bytes.get(pos + 1..pos + 5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(pos + 5)
        }
        _ => None,
    }
}

fn literal(bytes: &[u8], pos: usize, word: &[u8]) -> Option<usize> {
    bytes
        .get(pos..)?
        .starts_with(word)
        .then_some(pos + word.len())
}

fn number(bytes: &[u8], mut pos: usize) -> Option<usize> {
    if byte(bytes, pos) == b'-' {
        pos += 1;
    }
    if byte(bytes, pos) == b'0' {
        pos += 1;
    } else {
        pos = digits(bytes, pos)?;
    }
    if byte(bytes, pos) == b'.' {
        pos = digits(bytes, pos + 1)?;
    }
    if matches!(byte(bytes, pos), b'e' | b'E') {
        pos += 1;
        if matches!(byte(bytes, pos), b'+' | b'-') {
            pos += 1;
        }
        pos = digits(bytes, pos)?;
    }
    Some(pos)
}

fn digits(bytes: &[u8], start: usize) -> Option<usize> {
    let mut pos = start;
    while byte(bytes, pos).is_ascii_digit() {
        pos += 1;
    }
    (pos > start).then_some(pos)
}

/// Which containers are open: one bit each, set for an object.
#[derive(Default)]
struct Open {
    /// The innermost up to 64.
    top: u64,
    /// Those further out, 64 each.
    below: Vec<u64>,
    depth: usize,
}

impl Open {
    #[inline(always)]
    fn push(&mut self, object: bool) -> Option<()> {
        if self.depth >= 64 && self.depth.is_multiple_of(64) {
            self.spill()?;
        }
        self.top = (self.top << 1) | u64::from(object);
        self.depth += 1;
        Some(())
    }

    #[cold]
    fn spill(&mut self) -> Option<()> {
        self.below.push(self.top);
        (self.depth < MAX_SKIP_DEPTH).then_some(())
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.top >>= 1;
        if self.depth >= 64 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost container is an object; `None` where none is open.
    #[inline(always)]
    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.top & 1 == 1)
    }
}
