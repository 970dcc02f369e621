//! A tree from the parts a reader finds, within bounds.

use std::collections::HashMap;

use super::{MAX_ALIAS_BYTES, MAX_ALIAS_NODES, MAX_DEPTH, MAX_NODES, Node, Value};

/// What all documents of one text may still hold together.
#[derive(Debug)]
pub(super) struct Budget {
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            nodes: MAX_NODES,
            alias_nodes: MAX_ALIAS_NODES,
            alias_bytes: MAX_ALIAS_BYTES,
        }
    }
}

impl Budget {
    /// A budget of so many values.
    #[cfg(test)]
    pub(super) fn of(nodes: usize) -> Self {
        Budget {
            nodes,
            ..Budget::default()
        }
    }

    /// Takes one value.
    pub(super) fn node(&mut self) -> Result<(), String> {
        self.nodes = self
            .nodes
            .checked_sub(1)
            .ok_or_else(|| format!("the text holds more than {MAX_NODES} values: split it"))?;
        Ok(())
    }

    /// Takes the copy of `node` that an anchor or alias makes; gives back how deep it nests.
    pub(super) fn copy(&mut self, node: &Node) -> Result<usize, String> {
        let bytes = match &node.value {
            Value::Number(text) | Value::String(text) => text.len(),
            Value::Map(entries) => entries.iter().map(|(key, _)| key.len()).sum(),
            Value::Null | Value::Bool(_) | Value::List(_) => 0,
        };
        self.alias_nodes = self.alias_nodes.checked_sub(1).ok_or_else(excess)?;
        self.alias_bytes = self.alias_bytes.checked_sub(bytes).ok_or_else(excess)?;
        let mut depth = 0;
        match &node.value {
            Value::List(elements) => {
                for element in elements {
                    depth = depth.max(1 + self.copy(element)?);
                }
                depth = depth.max(1);
            }
            Value::Map(entries) => {
                for (_, value) in entries {
                    depth = depth.max(1 + self.copy(value)?);
                }
                depth = depth.max(1);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(depth)
    }
}

fn excess() -> String {
    let mebibytes = MAX_ALIAS_BYTES / (1024 * 1024);
    format!(
        "anchors and aliases copy more than {MAX_ALIAS_NODES} values or {mebibytes} MiB: write the values out"
    )
}

/// Refuses `depth` levels of lists and maps when they are too many.
pub(super) fn check_depth(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(())
}

/// The entries of a map that is being read.
#[derive(Debug, Default)]
pub(super) struct Entries {
    list: Vec<(String, Node)>,
    /// Position in the list, and the line the key was written on; none when a merge brought it.
    index: HashMap<String, (usize, Option<u32>)>,
}

impl Entries {
    /// Adds an entry that is written in this map.
    ///
    /// # Errors
    /// When the key was written before, naming it and both lines.
    pub(super) fn add(&mut self, key: String, line: u32, value: Node) -> Result<(), String> {
        match self.index.get_mut(&key) {
            Some((_, Some(first))) => {
                return Err(format!(
                    "the key {key:?} comes twice, on lines {first} and {line}: keep one"
                ));
            }
            Some((position, merged)) => {
                *merged = Some(line);
                if let Some((_, node)) = self.list.get_mut(*position) {
                    *node = value;
                }
            }
            None => {
                self.index
                    .insert(key.clone(), (self.list.len(), Some(line)));
                self.list.push((key, value));
            }
        }
        Ok(())
    }

    /// Adds what a merge key brings. The later wins, also over a key written before the merge:
    /// goyaml v2 works in the order of the text.
    pub(super) fn merge(&mut self, entries: Vec<(String, Node)>) {
        for (key, value) in entries {
            let known = self
                .index
                .get(&key)
                .and_then(|(position, _)| self.list.get_mut(*position));
            if let Some((_, node)) = known {
                *node = value;
            } else {
                self.index.insert(key.clone(), (self.list.len(), None));
                self.list.push((key, value));
            }
        }
    }

    /// The map.
    pub(super) fn finish(self) -> Value {
        Value::Map(self.list)
    }
}
