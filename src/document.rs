//! Documents: YAML and JSON texts as trees with line numbers, read as kubectl reads them.
//!
//! kubectl looks at the text and not at the file's name: when its first character that is no space
//! is `{`, it reads JSON values one after another, else YAML documents between lines that start
//! with `---`; a text that starts as JSON and stops being so goes on as YAML (apimachinery's
//! `YAMLOrJSONDecoder`). Plain YAML scalars mean what sigs.k8s.io/yaml makes of them, which is
//! YAML 1.1 (`yes` is a boolean, `0777` is octal). Where kubectl would drop something without a
//! word (a second value under one key, what follows `...`), tidegate refuses the document.

pub mod defaults;
pub mod items;
pub mod source;

mod build;
mod decode;
mod encode;
mod json;
mod number;
mod scalar;
mod stream;
mod yaml;

pub use decode::{MAX_BYTES, decode};
pub use stream::parse;

/// The deepest nesting of lists and maps, aliases followed. Kubernetes objects stay far below it.
pub const MAX_DEPTH: usize = 250;

/// The most values all documents of one text may hold. Without it a file of 32 MiB of `[],` would
/// become gigabytes.
pub const MAX_NODES: usize = 2_000_000;

/// The most values that the anchors and aliases of one text may copy.
pub const MAX_ALIAS_NODES: usize = 100_000;

/// The most bytes of text that the anchors and aliases of one text may copy.
pub const MAX_ALIAS_BYTES: usize = 8 * 1024 * 1024;

/// A value and the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Line in the text, from 1; 0 where there is no text.
    pub line: u32,
}

/// A value as JSON knows it. Map keys are unique and keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as JSON text.
    Number(String),
    /// A string.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<(String, Node)>),
}

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which document of the text, from 0. Empty documents are left out but counted; comments
    /// before the first `---` are no document.
    pub index: usize,
    /// The line its content starts on, from 1.
    pub line: u32,
    /// What it holds; never `null`.
    pub node: Node,
}

/// Why a document could not be read. The documents after it are read all the same.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Which document of the text, from 0.
    pub document: usize,
    /// The line that is wrong, from 1.
    pub line: u32,
    /// What is wrong, and what to do where that is not plain.
    pub message: String,
}

impl Node {
    /// What the value is, for a message: `the string "x"`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Number(text) => format!("the number {text}"),
            Value::String(text) => format!("the string {text:?}"),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    /// The value of a map under `key`, unless it is absent or `null`, which mean the same to
    /// Kubernetes.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(name, _)| name == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// As [`Node::get`], to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let (_, node) = entries.iter_mut().find(|(name, _)| name == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// Sets `key` of a map, in place where it is there. Anything but a map stays as it is.
    pub fn set(&mut self, key: &str, value: Node) {
        let Value::Map(entries) = &mut self.value else {
            return;
        };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, node)) => *node = value,
            None => entries.push((key.to_owned(), value)),
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; none for anything else.
    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// As [`Node::elements`], to change them.
    pub fn elements_mut(&mut self) -> &mut [Node] {
        match &mut self.value {
            Value::List(elements) => elements,
            _ => &mut [],
        }
    }

    /// The value as JSON: compact, keys in order, numbers as they stand.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        encode::write(self, &mut out);
        out
    }
}

/// A count of lines as a line number.
fn line_number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// How many line breaks `bytes` hold.
fn line_breaks(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count().saturating_sub(1)
}

#[cfg(test)]
mod tests;
