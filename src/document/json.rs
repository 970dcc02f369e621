//! JSON values as trees, one after another.

use super::build::{Budget, Entries, check_depth};
use super::{Node, Value, line_breaks, line_number};

/// Why a value could not be read.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// Line in the text, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) message: String,
    /// What can be done about the rest of the text.
    pub(super) then: Then,
}

/// What can be done after an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// The text is no JSON from here on; it may be YAML.
    MaybeYaml,
    /// It cannot be known where the value ends.
    Lost,
    /// The value ended and only broke a rule: the next can be read.
    Next,
}

/// A position in a text of JSON values.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    position: usize,
    /// Up to where lines were counted, and how many there were.
    counted: (usize, usize),
    duplicate: Option<(u32, String)>,
}

/// A list or map that is not complete.
enum Frame {
    List(Vec<Node>, u32),
    Map(Entries, Option<(String, u32)>, u32),
}

impl<'t> Reader<'t> {
    /// Reads from the start of `text`.
    pub(super) fn new(text: &'t str) -> Self {
        Reader {
            text,
            position: 0,
            counted: (0, 1),
            duplicate: None,
        }
    }

    /// Where the next value would start.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The line of the position, from 1. Positions only grow, so all lines are counted once.
    pub(super) fn line(&mut self) -> u32 {
        let (from, lines) = self.counted;
        let passed = self
            .text
            .as_bytes()
            .get(from..self.position)
            .unwrap_or_default();
        let lines = lines + line_breaks(passed);
        self.counted = (self.position, lines);
        line_number(lines)
    }

    /// The next value; none at the end of the text.
    pub(super) fn next(&mut self, budget: &mut Budget) -> Option<Result<Node, Stop>> {
        let start = self.position;
        self.blanks();
        self.peek()?;
        self.duplicate = None;
        let result = match self.value(budget) {
            Ok(node) => match self.duplicate.take() {
                None => Ok(node),
                Some((line, message)) => Err(Stop {
                    line,
                    message,
                    then: Then::Next,
                }),
            },
            Err((message, then)) => {
                let line = self.line();
                self.position = start;
                Err(Stop {
                    line,
                    message,
                    then,
                })
            }
        };
        Some(result)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    /// One value with all it holds, without recursion.
    fn value(&mut self, budget: &mut Budget) -> Result<Node, (String, Then)> {
        let lost = |message| (message, Then::Lost);
        let mut frames: Vec<Frame> = Vec::new();
        loop {
            self.blanks();
            let line = self.line();
            budget.node().map_err(lost)?;
            let mut node = match self.peek() {
                Some(b'{') => {
                    self.position += 1;
                    frames.push(Frame::Map(Entries::default(), None, line));
                    check_depth(frames.len()).map_err(lost)?;
                    self.blanks();
                    if !self.take(b'}') {
                        self.key(&mut frames)?;
                        continue;
                    }
                    close(frames.pop(), line)
                }
                Some(b'[') => {
                    self.position += 1;
                    frames.push(Frame::List(Vec::new(), line));
                    check_depth(frames.len()).map_err(lost)?;
                    self.blanks();
                    if !self.take(b']') {
                        continue;
                    }
                    close(frames.pop(), line)
                }
                _ => Node {
                    value: self.scalar()?,
                    line,
                },
            };
            loop {
                if frames.is_empty() {
                    return Ok(node);
                }
                self.put(&mut frames, node);
                if self.more(&mut frames)? {
                    break;
                }
                node = close(frames.pop(), line);
            }
        }
    }

    /// Puts a complete value into the innermost list or map.
    fn put(&mut self, frames: &mut [Frame], node: Node) {
        match frames.last_mut() {
            Some(Frame::List(elements, _)) => elements.push(node),
            Some(Frame::Map(entries, key, _)) => {
                if let Some((name, line)) = key.take()
                    && let Err(message) = entries.add(name, line, node)
                {
                    self.duplicate.get_or_insert((line, message));
                }
            }
            None => {}
        }
    }

    /// Whether the innermost list or map goes on after a value, up to the next value.
    fn more(&mut self, frames: &mut [Frame]) -> Result<bool, (String, Then)> {
        self.blanks();
        let list = matches!(frames.last(), Some(Frame::List(..)));
        if self.take(if list { b']' } else { b'}' }) {
            return Ok(false);
        }
        if !self.take(b',') {
            return Err(self.expected(if list { "`,` or `]`" } else { "`,` or `}`" }));
        }
        if !list {
            self.key(frames)?;
        }
        Ok(true)
    }

    fn key(&mut self, frames: &mut [Frame]) -> Result<(), (String, Then)> {
        self.blanks();
        let line = self.line();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in quotes"));
        }
        let name = self.string()?;
        self.blanks();
        if !self.take(b':') {
            return Err(self.expected("`:`"));
        }
        if let Some(Frame::Map(_, key, _)) = frames.last_mut() {
            *key = Some((name, line));
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<Value, (String, Then)> {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let word = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ];
        for (name, value) in word {
            if rest.starts_with(name) {
                self.position += name.len();
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => Err(self.expected("a value")),
        }
    }

    fn digits(&mut self) -> bool {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        self.position > start
    }

    fn number(&mut self) -> Result<String, (String, Then)> {
        let start = self.position;
        self.take(b'-');
        if !self.take(b'0') && !self.digits() {
            return Err(self.expected("a digit"));
        }
        if self.take(b'.') && !self.digits() {
            return Err(self.expected("a digit"));
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if !self.digits() {
                return Err(self.expected("a digit"));
            }
        }
        Ok(self
            .text
            .get(start..self.position)
            .unwrap_or_default()
            .to_owned())
    }

    fn string(&mut self) -> Result<String, (String, Then)> {
        self.position += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.position..).unwrap_or_default();
            let length = rest
                .bytes()
                .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
                .unwrap_or(rest.len());
            out.push_str(rest.get(..length).unwrap_or_default());
            self.position += length;
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                None => return Err(self.expected("the end of the string")),
                Some(_) => {
                    return Err((
                        "not valid JSON: a control character stands in a string".into(),
                        Then::MaybeYaml,
                    ));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, (String, Then)> {
        self.position += 1;
        let escaped = match self.peek() {
            Some(b'u') => {
                self.position += 1;
                return self.unicode();
            }
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.expected("an escape of JSON")),
        };
        self.position += 1;
        Ok(escaped)
    }

    /// What follows `\u`. Half a surrogate pair becomes U+FFFD, as in Go.
    fn unicode(&mut self) -> Result<char, (String, Then)> {
        let first = self.unit()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let rest = self.text.get(self.position..).unwrap_or_default();
        if first < 0xDC00 && rest.starts_with("\\u") {
            let mark = self.position;
            self.position += 2;
            let second = self.unit()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = mark;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Result<u32, (String, Then)> {
        let digits = self
            .text
            .get(self.position..self.position + 4)
            .unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.expected("four hexadecimal digits"));
        }
        self.position += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.expected("four hexadecimal digits"))
    }

    fn expected(&self, what: &str) -> (String, Then) {
        let found = self
            .text
            .get(self.position..)
            .and_then(|rest| rest.chars().next());
        let message = match found {
            Some(found) => format!("not valid JSON: expected {what}, found {found:?}"),
            None => format!("not valid JSON: expected {what}, found the end"),
        };
        (message, Then::MaybeYaml)
    }
}

fn close(frame: Option<Frame>, line: u32) -> Node {
    match frame {
        Some(Frame::List(elements, line)) => Node {
            value: Value::List(elements),
            line,
        },
        Some(Frame::Map(entries, _, line)) => Node {
            value: entries.finish(),
            line,
        },
        None => Node {
            value: Value::Null,
            line,
        },
    }
}
