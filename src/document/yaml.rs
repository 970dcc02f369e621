//! One YAML document as a tree.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::build::{Budget, Entries, check_depth};
use super::scalar::{Scalar, resolve};
use super::{Node, Value, line_breaks, line_number, number};

/// What is wrong with a text, and on which of its lines.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    /// Line in the text, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) message: String,
}

/// Reads `text`, which holds one document at most and starts after `skipped` lines of the file.
/// None when it holds only blanks and comments.
pub(super) fn read(text: &str, skipped: usize, budget: &mut Budget) -> Result<Option<Node>, Wrong> {
    check_characters(text, skipped)?;
    let mut builder = Builder {
        frames: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        budget,
    };
    let options = granit_parser::options! { disallow_directives: true, emit_anchor_events: true };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Wrong {
            line: line_number(skipped + error.marker().line()),
            message: error.info(),
        })?;
        let line = line_number(skipped + span.start.line());
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
        }
        let result = if documents > 1 {
            Err(
                "kubectl does not read what follows `...`: start the document with `---`"
                    .to_owned(),
            )
        } else {
            unambiguous(&event, &span, text).and_then(|()| builder.event(event, line))
        };
        result.map_err(|message| Wrong { line, message })?;
    }
    Ok(builder.root)
}

/// Refuses what goyaml refuses, and the line breaks of YAML 1.1 that YAML 1.2 took back: a comment
/// would end there for kubectl and go on for a reader of today. A byte order mark within the
/// text is a part of a key for one and nothing for the other.
fn check_characters(text: &str, skipped: usize) -> Result<(), Wrong> {
    let refused = |character: char| match character {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\u{A0}'..='\u{FFFD}' => {
            matches!(character, '\u{2028}' | '\u{2029}' | '\u{FEFF}')
        }
        _ => character < '\u{10000}',
    };
    let Some((position, character)) = text
        .char_indices()
        .find(|&(_, character)| refused(character))
    else {
        return Ok(());
    };
    let before = text.get(..position).unwrap_or_default();
    let code = u32::from(character);
    let message = match character {
        '\u{85}' | '\u{2028}' | '\u{2029}' => format!(
            "holds U+{code:04X}, a line break to kubectl only: write it as an escape in double quotes"
        ),
        '\u{FEFF}' => "holds a byte order mark, which kubectl takes for text: remove it".to_owned(),
        _ => format!("holds the control character U+{code:04X}, which YAML does not allow"),
    };
    Err(Wrong {
        line: line_number(skipped + line_breaks(before.as_bytes()) + 1),
        message,
    })
}

/// Refuses the few notations that YAML 1.1 and 1.2 cut differently, so that nothing
/// is judged that kubectl would not send: `{a:, …}`, `{?"a": …}`, `[!a, …]` and `&a:/b`.
fn unambiguous(event: &Event<'_>, span: &Span, text: &str) -> Result<(), String> {
    if let Some(tag) = span.tag_span() {
        let behind = tag.byte_range().and_then(|range| text.get(range.end..));
        let next = behind.unwrap_or_default().chars().next();
        if next.is_some_and(|next| !next.is_whitespace()) {
            return Err(
                "kubectl takes what follows the tag for a part of it: put a blank behind the tag"
                    .into(),
            );
        }
    }
    if let Event::Anchor(_, name) = event
        && name.contains(|character: char| {
            !matches!(character, '-' | '_') && !character.is_ascii_alphanumeric()
        })
    {
        return Err(format!(
            "kubectl knows no anchor named {name:?}: use letters, digits, `-` and `_`"
        ));
    }
    let Event::Scalar(value, ScalarStyle::Plain, ..) = event else {
        return Ok(());
    };
    let behind = span
        .byte_range()
        .and_then(|range| text.get(range.end..))
        .unwrap_or_default();
    let cut = behind
        .strip_prefix(':')
        .is_some_and(|behind| behind.starts_with([',', '[', ']', '{', '}']));
    if value.starts_with('?') || (cut && !value.is_empty()) {
        return Err(format!(
            "kubectl reads {value:?} differently here: quote it, and put a blank behind its `:`"
        ));
    }
    Ok(())
}

/// A value that is complete.
#[derive(Clone, Debug)]
struct Item {
    node: Node,
    /// The number where the value is a float, whose text as a key differs from its JSON text.
    float: Option<f64>,
    /// Whether an alias stands for it.
    alias: bool,
    /// Whether it is `<<`, which merges where it is a key.
    merge: bool,
}

/// A list or map that is not complete.
enum Frame {
    List {
        elements: Vec<Node>,
        line: u32,
        anchor: usize,
    },
    Map {
        entries: Entries,
        key: Option<Key>,
        line: u32,
        anchor: usize,
    },
}

enum Key {
    Name(String, u32),
    Merge,
}

struct Builder<'b> {
    frames: Vec<Frame>,
    /// What each anchor stands for, and how deep it nests.
    anchors: HashMap<usize, (Item, usize)>,
    root: Option<Node>,
    budget: &'b mut Budget,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.node()?;
                let item = scalar(&text, style, tag.as_deref(), line)?;
                self.complete(item, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Frame::List {
                elements: Vec::new(),
                line,
                anchor,
            }),
            Event::MappingStart(_, anchor, _) => self.open(Frame::Map {
                entries: Entries::default(),
                key: None,
                line,
                anchor,
            }),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some((item, depth)) = self.anchors.get(&anchor) else {
                    return Err("an alias stands inside what it stands for".into());
                };
                check_depth(self.frames.len() + depth)?;
                self.budget.copy(&item.node)?;
                let mut item = item.clone();
                item.node.line = line;
                item.alias = true;
                item.merge = false;
                self.complete(item, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), String> {
        self.budget.node()?;
        check_depth(self.frames.len() + 1)?;
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let (value, line, anchor) = match self.frames.pop() {
            Some(Frame::List {
                elements,
                line,
                anchor,
            }) => (Value::List(elements), line, anchor),
            Some(Frame::Map {
                entries,
                line,
                anchor,
                ..
            }) => (entries.finish(), line, anchor),
            None => return Ok(()),
        };
        let item = Item {
            node: Node { value, line },
            float: None,
            alias: false,
            merge: false,
        };
        self.complete(item, anchor)
    }

    /// Puts a complete value where it belongs.
    fn complete(&mut self, item: Item, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            let depth = self.budget.copy(&item.node)?;
            self.anchors.insert(anchor, (item.clone(), depth));
        }
        match self.frames.last_mut() {
            Some(Frame::Map {
                key: slot @ None, ..
            }) => *slot = Some(key(item)?),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some(Key::Name(name, line)) => entries.add(name, line, value(item)?)?,
                _ => merge(entries, item)?,
            },
            Some(Frame::List { elements, .. }) => elements.push(value(item)?),
            None => self.root = Some(value(item)?),
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: u32) -> Result<Item, String> {
    let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
    let plain = style == ScalarStyle::Plain;
    let merge = text == "<<"
        && match &tag {
            None => plain,
            Some(tag) => tag == "tag:yaml.org,2002:merge",
        };
    let resolved = resolve(text, plain, tag.as_deref())?;
    let float = match resolved {
        Scalar::Float(number) => Some(number),
        _ => None,
    };
    let value = match resolved {
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(text) => Value::Number(text),
        Scalar::Float(number) if number.is_finite() => Value::Number(number::json_text(number)),
        // Refused where it is used as a value.
        Scalar::Null | Scalar::Float(_) => Value::Null,
        Scalar::String(text) => Value::String(text),
    };
    Ok(Item {
        node: Node { value, line },
        float,
        alias: false,
        merge,
    })
}

/// A complete value as a value.
fn value(item: Item) -> Result<Node, String> {
    match item.float {
        Some(number) if !number.is_finite() => {
            Err("infinities and NaN have no form in JSON, which Kubernetes stores".to_owned())
        }
        _ => Ok(item.node),
    }
}

/// A complete value as a key: sigs.k8s.io/yaml makes strings of numbers and booleans.
fn key(item: Item) -> Result<Key, String> {
    if item.merge {
        return Ok(Key::Merge);
    }
    let line = item.node.line;
    let name = match (item.float, item.node.value) {
        (Some(number), _) => number::key_text(number),
        (None, Value::String(text)) => text,
        (None, Value::Bool(value)) => value.to_string(),
        (None, Value::Number(text)) if text.parse::<i64>().is_ok() => text,
        (None, value) => {
            let node = Node { value, line };
            return Err(format!("{} is no key: quote it", node.describe()));
        }
    };
    Ok(Key::Name(name, line))
}

/// Takes over the entries of the maps that `<<` names; of several, the first wins.
fn merge(entries: &mut Entries, item: Item) -> Result<(), String> {
    let wrong = || "`<<` takes a map or a list of maps".to_owned();
    match (item.node.value, item.alias) {
        (Value::Map(merged), _) => entries.merge(merged),
        (Value::List(elements), false) => {
            for element in elements.into_iter().rev() {
                let Value::Map(merged) = element.value else {
                    return Err(wrong());
                };
                entries.merge(merged);
            }
        }
        _ => return Err(wrong()),
    }
    Ok(())
}
