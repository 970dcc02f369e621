//! JSON as a Go API server writes it: keys in the order of the Go struct, map keys sorted, and
//! `<`, `>`, `&` escaped as `encoding/json` does.

use std::fmt::Write as _;

/// A JSON value whose maps keep the order they were written in.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Json::Int(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl<const N: usize> From<[Json; N]> for Json {
    fn from(items: [Json; N]) -> Self {
        Json::List(items.into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Json::List(items)
    }
}

impl From<Vec<(String, Json)>> for Json {
    fn from(entries: Vec<(String, Json)>) -> Self {
        Json::Map(entries)
    }
}

/// A map of fixed keys, in this order.
pub(crate) fn map<const N: usize>(entries: [(&str, Json); N]) -> Json {
    Json::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// A list of texts.
pub(crate) fn texts<const N: usize>(items: [&str; N]) -> Json {
    Json::List(items.into_iter().map(Json::from).collect())
}

impl Json {
    /// The value of `key`, when this is a map that holds it.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Map(entries) => entries
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends `key` to a map; anything else stays as it is.
    pub(crate) fn push(&mut self, key: &str, value: Json) {
        if let Json::Map(entries) = self {
            entries.push((key.to_owned(), value));
        }
    }

    /// The text a Go encoder produces.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Json::Text(text) => write_text(text, out),
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// The `fieldsV1` of `managedFields` for an object its manager owns whole: every field as `f:name`,
/// elements of keyed lists as `k:{key}`, other lists and plain values as leaves.
pub(crate) fn fields_v1(value: &Json) -> Json {
    fields(value, false)
}

/// `own` says that the map or list itself is listed beside its parts, as it is below the top level.
fn fields(value: &Json, own: bool) -> Json {
    let mut entries: Vec<(String, Json)> = Vec::new();
    match value {
        Json::Map(parts) => {
            entries.extend(parts.iter().map(|(key, part)| {
                (
                    format!("f:{key}"),
                    fields(part, key != "metadata" && key != "spec"),
                )
            }));
        }
        Json::List(items) => {
            entries.extend(items.iter().filter_map(|item| {
                Some((
                    format!("k:{}", list_key(item)?.encode()),
                    fields(item, true),
                ))
            }));
        }
        _ => {}
    }
    if own && !entries.is_empty() {
        entries.push((".".to_owned(), Json::Map(Vec::new())));
    }
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    Json::Map(entries)
}

/// The merge key of a list element, as the API's schema names it for the lists of a pod.
fn list_key(item: &Json) -> Option<Json> {
    /// The fields an element of a list has, and which of them are its key. Conditions are keyed by
    /// type alone; their status tells them from other things with a type.
    const KEYS: [(&[&str], &[&str]); 6] = [
        (&[], &["containerPort", "protocol"]),
        (&[], &["mountPath"]),
        (&[], &["ip"]),
        (&["status"], &["type"]),
        (&[], &["uid"]),
        (&[], &["name"]),
    ];
    let has = |keys: &[&str]| keys.iter().all(|key| item.get(key).is_some());
    let (_, keys) = KEYS
        .into_iter()
        .find(|(beside, keys)| has(beside) && has(keys))?;
    Some(Json::Map(
        keys.iter()
            .filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())))
            .collect(),
    ))
}
