//! Walking a policy's YAML with the path and line at hand, so that everything wrong is named where
//! it stands.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::{Node, Value};
use crate::path::FieldPath;

use super::selection::Pattern;

/// One thing wrong with a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Line in the file, from 1; 0 where there is no file.
    pub line: u32,
    /// Path of the field: `spec.controls.pod-security.mode`.
    pub path: FieldPath,
    /// What is wrong, with the nearest known name where one was meant.
    pub message: String,
}

/// Everything wrong with a policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds what is wrong at `cursor`.
    pub fn add(&mut self, cursor: &Cursor<'_>, message: impl Into<String>) {
        self.0.push(Problem {
            line: cursor.node.line,
            path: cursor.path.clone(),
            message: message.into(),
        });
    }
}

/// A node of the document and its path.
#[derive(Clone, Debug)]
pub struct Cursor<'n> {
    /// The node.
    pub node: &'n Node,
    /// Its path from the document's root.
    pub path: FieldPath,
}

impl<'n> Cursor<'n> {
    /// The root of a document.
    pub fn root(node: &'n Node) -> Self {
        Cursor {
            node,
            path: FieldPath::root(),
        }
    }

    /// Whether the node is `null`, which reads as absent.
    pub fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// The entries of a map, in order. Anything but a map or `null` is a problem.
    pub fn entries(&self, problems: &mut Problems) -> Vec<(&'n str, Cursor<'n>)> {
        match &self.node.value {
            Value::Map(entries) => entries
                .iter()
                .map(|(key, node)| {
                    let path = self.path.clone().key(key);
                    (key.as_str(), Cursor { node, path })
                })
                .collect(),
            Value::Null => Vec::new(),
            _ => {
                problems.add(
                    self,
                    format!("expected a map, found {}", self.node.describe()),
                );
                Vec::new()
            }
        }
    }

    /// The fields of a map whose fields are known: an unknown one is a problem that names the
    /// nearest.
    pub fn fields(&self, known: &[&str], problems: &mut Problems) -> Fields<'n> {
        let entries = self.entries(problems);
        for (name, cursor) in &entries {
            if !known.contains(name) {
                problems.add(cursor, unknown("field", name, known));
            }
        }
        Fields(entries)
    }

    /// The elements of a list. Anything but a list or `null` is a problem.
    pub fn elements(&self, problems: &mut Problems) -> Vec<Cursor<'n>> {
        match &self.node.value {
            Value::List(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| Cursor {
                    node,
                    path: self.path.clone().index(index),
                })
                .collect(),
            Value::Null => Vec::new(),
            _ => {
                problems.add(
                    self,
                    format!("expected a list, found {}", self.node.describe()),
                );
                Vec::new()
            }
        }
    }

    /// A string. Anything else is a problem; an unquoted `on` or `1.30` says so.
    pub fn text(&self, problems: &mut Problems) -> Option<&'n str> {
        if let Value::String(text) = &self.node.value {
            return Some(text);
        }
        let found = self.node.describe();
        problems.add(
            self,
            format!("expected a string, found {found}; quote it if a string is meant"),
        );
        None
    }

    /// A list of strings.
    pub fn texts(&self, problems: &mut Problems) -> Vec<&'n str> {
        let elements = self.elements(problems);
        elements
            .iter()
            .filter_map(|element| element.text(problems))
            .collect()
    }

    /// A list of globs over names.
    pub fn globs(&self, problems: &mut Problems) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for element in self.elements(problems) {
            match element.text(problems).map(Pattern::parse) {
                Some(Ok(pattern)) => patterns.push(pattern),
                Some(Err(why)) => problems.add(&element, why),
                None => {}
            }
        }
        patterns
    }

    /// A point in time, RFC 3339.
    pub fn date(&self, problems: &mut Problems) -> Option<OffsetDateTime> {
        let text = self.text(problems)?;
        let date = OffsetDateTime::parse(text, &Rfc3339).ok();
        if date.is_none() {
            let message = format!("expected a time such as 2026-11-21T10:00:00Z, found {text:?}");
            problems.add(self, message);
        }
        date
    }

    /// A whole number.
    pub fn whole_number(&self, problems: &mut Problems) -> Option<i64> {
        let number = match &self.node.value {
            Value::Number(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            let found = self.node.describe();
            problems.add(self, format!("expected a whole number, found {found}"));
        }
        number
    }

    /// A whole number between `least` and `most`.
    pub fn number_within(&self, least: u16, most: u16, problems: &mut Problems) -> Option<u16> {
        let number = self.whole_number(problems)?;
        let within = u16::try_from(number)
            .ok()
            .filter(|number| (least..=most).contains(number));
        if within.is_none() {
            problems.add(
                self,
                format!("expected a whole number from {least} to {most}, found {number}"),
            );
        }
        within
    }

    /// `true` or `false`.
    pub fn truth(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Bool(truth) = self.node.value {
            return Some(truth);
        }
        let found = self.node.describe();
        problems.add(self, format!("expected true or false, found {found}"));
        None
    }

    /// One of `choices` by its name.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let text = match &self.node.value {
            // YAML 1.1, which kubectl speaks, reads an unquoted `off` as false.
            Value::Bool(false) if choices.iter().any(|(name, _)| *name == "off") => "off",
            _ => self.text(problems)?,
        };
        let chosen = choices.iter().find(|(name, _)| *name == text);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            problems.add(self, unknown("value", text, &names));
        }
        chosen.map(|(_, value)| *value)
    }
}

/// The fields of one map.
#[derive(Clone, Debug)]
pub struct Fields<'n>(Vec<(&'n str, Cursor<'n>)>);

impl<'n> Fields<'n> {
    /// The field of this name; `null` is absent.
    pub fn get(&self, name: &str) -> Option<&Cursor<'n>> {
        let field = self.0.iter().find(|(candidate, _)| *candidate == name);
        field
            .map(|(_, cursor)| cursor)
            .filter(|cursor| !cursor.is_null())
    }
}

/// What to say of a name that is not known, with the nearest one that is.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2);
    match nearest {
        Some((_, nearest)) => format!("unknown {what} {name:?}; did you mean {nearest:?}?"),
        None => format!("unknown {what} {name:?}; known are {}", known.join(", ")),
    }
}

/// How many letters must be changed, added or left out to make `left` of `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, letter) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        let mut next = vec![previous];
        for (other, above) in right.iter().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(*other != letter);
            diagonal = *above;
            previous = changed.min(above + 1).min(previous + 1);
            next.push(previous);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_when_one_is_near() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let known = ["mode", "settings", "checks"];
        assert_eq!(
            unknown("field", "mdoe", &known),
            "unknown field \"mdoe\"; did you mean \"mode\"?"
        );
        assert_eq!(
            unknown("field", "xyzzy", &known),
            "unknown field \"xyzzy\"; known are mode, settings, checks"
        );
    }
}
