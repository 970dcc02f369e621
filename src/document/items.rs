//! Lists of objects as their objects.

use super::{Node, Value};

/// One object of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which object of the list, from 0, counting on through lists within lists; none when the
    /// document is no list.
    pub item: Option<usize>,
    /// The object.
    pub node: Node,
}

/// The objects of a document. As for kubectl, whatever has a list (or `null`) as `items` is a list
/// of objects, whatever its kind. An item with neither apiVersion nor kind, as in a `PodList`, gets
/// them from the list.
pub fn items(node: Node) -> Vec<Item> {
    if !is_list(&node) {
        return vec![Item { item: None, node }];
    }
    let mut objects = Vec::new();
    flatten(node, &mut objects);
    objects
        .into_iter()
        .enumerate()
        .map(|(position, node)| Item {
            item: Some(position),
            node,
        })
        .collect()
}

fn is_list(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else {
        return false;
    };
    entries
        .iter()
        .any(|(key, value)| key == "items" && matches!(value.value, Value::List(_) | Value::Null))
}

/// Lists nest at most as deep as documents do, which bounds the recursion.
fn flatten(list: Node, objects: &mut Vec<Node>) {
    let api_version = list.get("apiVersion").cloned();
    let kind = list.get("kind").and_then(|kind| {
        let name = kind.as_str()?;
        let name = name.strip_suffix("List").unwrap_or(name);
        (!name.is_empty()).then(|| Node {
            value: Value::String(name.to_owned()),
            line: kind.line,
        })
    });
    let Value::Map(entries) = list.value else {
        return;
    };
    let Some((_, items)) = entries.into_iter().find(|(key, _)| key == "items") else {
        return;
    };
    let Value::List(elements) = items.value else {
        return;
    };
    for mut element in elements {
        if element.get("apiVersion").is_none() && element.get("kind").is_none() {
            if let Some(api_version) = &api_version {
                element.set("apiVersion", api_version.clone());
            }
            if let Some(kind) = &kind {
                element.set("kind", kind.clone());
            }
        }
        if is_list(&element) {
            flatten(element, objects);
        } else {
            objects.push(element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn objects(text: &str) -> Vec<(Option<usize>, String)> {
        let document = parse(text).remove(0).unwrap();
        items(document.node)
            .into_iter()
            .map(|item| (item.item, item.node.to_json()))
            .collect()
    }

    #[test]
    fn a_document_that_is_no_list_is_one_object() {
        assert_eq!(objects("{kind: Pod}"), [(None, r#"{"kind":"Pod"}"#.into())]);
        assert_eq!(
            objects("{kind: Pod, items: {a: 1}}"),
            [(None, r#"{"kind":"Pod","items":{"a":1}}"#.into())]
        );
    }

    #[test]
    fn items_of_a_typed_list_get_their_kind_from_it() {
        let text = "{apiVersion: v1, kind: PodList, items: [{a: 1}, {kind: Node}]}";
        assert_eq!(
            objects(text),
            [
                (Some(0), r#"{"a":1,"apiVersion":"v1","kind":"Pod"}"#.into()),
                (Some(1), r#"{"kind":"Node"}"#.into()),
            ]
        );
    }

    #[test]
    fn items_of_a_plain_list_get_no_kind() {
        let text = "{apiVersion: v1, kind: List, items: [{a: 1}]}";
        assert_eq!(
            objects(text),
            [(Some(0), r#"{"a":1,"apiVersion":"v1"}"#.into())]
        );
    }

    #[test]
    fn whatever_has_items_is_a_list_as_for_kubectl() {
        let text = "{apiVersion: v1, kind: ConfigMap, items: [{apiVersion: v1, kind: Pod}]}";
        assert_eq!(
            objects(text),
            [(Some(0), r#"{"apiVersion":"v1","kind":"Pod"}"#.into())]
        );
        assert_eq!(objects("{kind: PodList, items: null}"), []);
        assert_eq!(objects("{kind: List, items: []}"), []);
    }

    #[test]
    fn items_count_on_through_nested_lists() {
        let text =
            "{kind: List, items: [{kind: A}, {kind: List, items: [{kind: B}, 7]}, {kind: C}]}";
        let kinds: Vec<_> = objects(text);
        assert_eq!(
            kinds,
            [
                (Some(0), r#"{"kind":"A"}"#.into()),
                (Some(1), r#"{"kind":"B"}"#.into()),
                (Some(2), "7".into()),
                (Some(3), r#"{"kind":"C"}"#.into()),
            ]
        );
    }
}
