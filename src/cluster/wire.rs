//! The few fields read from the API server's lists and objects, and its errors in words.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::watch::Versioned;
use crate::facts::Labels;

/// An object of which only the metadata matters.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Object {
    pub(super) metadata: Meta,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: Box<str>,
    #[serde(default)]
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
    #[serde(default)]
    pub(super) resource_version: String,
}

impl Versioned for Object {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Meta {
    pub(super) fn labels(&mut self) -> Labels {
        // Already sorted, as Labels wants them.
        self.labels
            .take()
            .unwrap_or_default()
            .into_iter()
            .collect::<Vec<_>>()
            .into()
    }
}

/// The metadata of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(default)]
    pub(super) resource_version: String,
    #[serde(default, rename = "continue")]
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) remaining_item_count: Option<usize>,
}

impl ListMeta {
    /// The token of the next page.
    pub(super) fn next(&self) -> Option<&str> {
        self.next.as_deref().filter(|token| !token.is_empty())
    }
}

/// Whether `name` may go into the path of a request: an RFC 1123 label, as the API server asks.
/// Without this, a caller of ours could choose the path.
pub(super) fn is_namespace_name(name: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.bytes().all(|c| alphanumeric(c) || c == b'-')
        && name.bytes().next().is_some_and(alphanumeric)
        && name.bytes().next_back().is_some_and(alphanumeric)
}

/// The HTTP status code of an error of the API server.
pub(super) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// An error in one line, with its causes.
pub(super) fn explain(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!(
            "the API server answered {}: {}",
            status.code, status.message
        );
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_of_rfc_1123_go_into_a_path() {
        for good in ["default", "a", "kube-system", "0-9", &"x".repeat(63)] {
            assert!(is_namespace_name(good), "{good}");
        }
        for bad in [
            "",
            "..",
            "a/b",
            "A",
            "-a",
            "a-",
            "a.b",
            "a?b",
            "a%2f",
            "\u{e9}",
            &"x".repeat(64),
        ] {
            assert!(!is_namespace_name(bad), "{bad}");
        }
    }
}
