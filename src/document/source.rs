//! Objects with the place they were read from.

use serde::Serialize;

use super::items::{Item, items};
use super::{Node, Value, decode, parse};

/// Where an object stands.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Source {
    /// The file, as it was named or found; `<stdin>` for standard input.
    pub path: String,
    /// Which document of the file, from 0.
    pub document: usize,
    /// Line of the file, from 1; 0 when it is about the file as a whole.
    pub line: u32,
    /// Which object of a list, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
}

/// An object and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Where it stands.
    pub source: Source,
    /// What it holds: a map with the strings `apiVersion` and `kind`.
    pub node: Node,
}

/// Something that could not be read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unreadable {
    /// Where it stands.
    pub source: Source,
    /// What is wrong, and what to do.
    pub error: String,
}

impl Source {
    /// The file `path` as a whole.
    pub fn file(path: &str) -> Source {
        Source {
            path: path.to_owned(),
            document: 0,
            line: 0,
            item: None,
        }
    }
}

/// The objects of the file `path`, whose content is `bytes`, in order, and what of it could not be
/// read.
pub fn objects(path: &str, bytes: Vec<u8>) -> (Vec<Object>, Vec<Unreadable>) {
    let mut found = (Vec::new(), Vec::new());
    let at = |document, line, item| Source {
        path: path.to_owned(),
        document,
        line,
        item,
    };
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(error) => {
            let source = at(error.document, error.line, None);
            found.1.push(Unreadable {
                source,
                error: error.message,
            });
            return found;
        }
    };
    for document in parse(&text) {
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                found.1.push(Unreadable {
                    source: at(error.document, error.line, None),
                    error: with_hint(error.message, &text),
                });
                continue;
            }
        };
        for Item { item, node } in items(document.node) {
            let source = at(document.index, node.line, item);
            match no_object(&node) {
                None => found.0.push(Object { source, node }),
                Some(error) => found.1.push(Unreadable { source, error }),
            }
        }
    }
    found
}

/// Says what to do when broken YAML is a template.
fn with_hint(message: String, text: &str) -> String {
    if text.contains("{{") {
        return message
            + "; this looks like a template: check what it renders to, as with `helm template`";
    }
    message
}

/// Why `node` is no object of Kubernetes.
fn no_object(node: &Node) -> Option<String> {
    if !matches!(node.value, Value::Map(_)) {
        let what = node.describe();
        return Some(format!(
            "{what} is no Kubernetes object, which is a map with apiVersion and kind"
        ));
    }
    let missing = |key| node.get(key).is_none_or(|node| node.as_str() == Some(""));
    match (missing("apiVersion"), missing("kind")) {
        (true, true) => Some(
            "no apiVersion and kind: not a Kubernetes object; leave it out, and check what it makes, \
             as with `helm template` or `kubectl kustomize`"
                .into(),
        ),
        (true, false) => Some("no apiVersion: add the one of its kind, such as `apiVersion: v1`".into()),
        (false, true) => Some("no kind: add one, such as `kind: Pod`, or leave the document out".into()),
        (false, false) => ["apiVersion", "kind"].into_iter().find_map(|key| {
            let value = node.get(key)?;
            let what = value.describe();
            value.as_str().is_none().then(|| format!("{key} is {what}, expected a string: quote it"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_knows_where_it_stands() {
        let text = "# head\n---\napiVersion: v1\nkind: Pod\n---\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n- apiVersion: v1\n  kind: Pod\n";
        let (found, unreadable) = objects("a.yaml", text.into());
        let places: Vec<_> = found
            .iter()
            .map(|object| {
                (
                    object.source.document,
                    object.source.line,
                    object.source.item,
                )
            })
            .collect();
        assert_eq!(places, [(0, 3, None), (2, 10, Some(0)), (2, 12, Some(1))]);
        assert_eq!(unreadable, []);
        let json = serde_json::to_string(&found[0].source).unwrap();
        assert_eq!(json, r#"{"path":"a.yaml","document":0,"line":3}"#);
        let json = serde_json::to_string(&found[1].source).unwrap();
        assert_eq!(json, r#"{"path":"a.yaml","document":2,"line":10,"item":0}"#);
    }

    #[test]
    fn what_is_no_object_is_said_and_hides_nothing() {
        for (document, error) in [
            ("replicas: 2", "no apiVersion and kind"),
            ("apiVersion: v2\nname: chart", "no kind"),
            ("kind: Pod", "no apiVersion: add"),
            ("apiVersion: 1\nkind: Pod", "apiVersion is the number 1"),
            ("apiVersion: v1\nkind: yes", "kind is the boolean true"),
            ("apiVersion: v1\nkind: null", "no kind"),
            (
                "just text",
                "the string \"just text\" is no Kubernetes object",
            ),
            ("- a\n- b", "a list is no Kubernetes object"),
            ("a: {{ .Values.a }}\nb", "as with `helm template`"),
        ] {
            let text = format!("{document}\n---\napiVersion: v1\nkind: Pod\n");
            let (found, unreadable) = objects("a.yaml", text.into());
            assert_eq!(found.len(), 1, "{document}");
            assert_eq!(found[0].source.document, 1, "{document}");
            assert_eq!(unreadable.len(), 1, "{document}");
            assert!(
                unreadable[0].error.contains(error),
                "{document}: {}",
                unreadable[0].error
            );
        }
    }

    #[test]
    fn a_text_that_cannot_be_decoded_is_unreadable() {
        let (found, unreadable) = objects("a.yaml", vec![b'a', b'\n', 0xFF]);
        assert_eq!(found, []);
        assert_eq!(unreadable[0].source.line, 2);
    }
}
