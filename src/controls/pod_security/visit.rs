//! What the checks share: walking containers, collecting offenders, and upstream's wording.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{Container, ContainerKind, PodSecurityContext};
use crate::path::FieldPath;
use crate::subject::PodView;

use super::quote::go_quote;

/// Where a container stands in the pod. Its path is only written out for a finding.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    kind: ContainerKind,
    index: usize,
}

impl Place {
    /// The path of the container's dotted `names`, relative to the pod.
    pub fn field(self, names: &str) -> FieldPath {
        FieldPath::of("spec")
            .field(self.kind.field())
            .index(self.index)
            .field(names)
    }
}

impl<'s, 'a> PodView<'s, 'a> {
    /// Every container: init, regular, ephemeral (`policy/visitor.go`).
    pub fn containers(&self) -> impl Iterator<Item = (Place, &'s Container<'a>)> + use<'s, 'a> {
        let containers = self.spec.all_containers();
        containers.map(|(kind, index, container)| (Place { kind, index }, container))
    }

    /// The security context of the pod itself.
    pub fn security_context(&self) -> Option<&'s PodSecurityContext<'a>> {
        self.spec.security_context.as_ref()
    }

    /// Whether the pod says it is for Windows, where some fields must not be set.
    pub fn is_windows(&self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Whether the pod has a user namespace of its own (`hostUsers: false`), in which root is not
    /// the node's root.
    pub fn has_own_users(&self) -> bool {
        self.spec.host_users == Some(false)
    }
}

/// What breaks a check: the pod, containers, the fields by which they do, and the values there.
#[derive(Debug, Default)]
pub struct Offenders<'s> {
    /// Whether the pod's own security context is among them.
    pub pod: bool,
    /// Names of containers (or volumes) in the order they were visited, duplicates kept.
    pub names: Vec<&'s str>,
    /// Paths of the fields, relative to the pod.
    pub fields: Vec<FieldPath>,
    /// The forbidden values, as upstream lists them: sorted by bytes, each once.
    pub values: Values<'s>,
}

/// A sorted set of texts that costs nothing while it is empty, as it is for nearly every pod.
#[derive(Debug, Default)]
pub struct Values<'s>(Option<BTreeSet<&'s str>>);

impl<'s> Values<'s> {
    /// Adds a text.
    pub fn insert(&mut self, value: &'s str) {
        self.0.get_or_insert_default().insert(value);
    }

    /// Adds texts.
    pub fn extend(&mut self, values: impl IntoIterator<Item = &'s str>) {
        values.into_iter().for_each(|value| self.insert(value));
    }

    /// The texts, sorted by bytes, each once.
    pub fn iter(&self) -> impl Iterator<Item = &'s str> {
        self.0.iter().flatten().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, BTreeSet::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<'s> Offenders<'s> {
    /// Adds a container for one of its fields.
    pub fn add(&mut self, container: &'s Container<'_>, field: FieldPath) {
        self.names.push(&container.name);
        self.fields.push(field);
    }

    /// Adds a container for `fields`, if there are any.
    pub fn add_all(
        &mut self,
        container: &'s Container<'_>,
        fields: impl IntoIterator<Item = FieldPath>,
    ) {
        let before = self.fields.len();
        self.fields.extend(fields);
        if self.fields.len() > before {
            self.names.push(&container.name);
        }
    }

    /// Adds the pod for the dotted `names` in its security context.
    pub fn add_pod(&mut self, names: &str) {
        self.pod = true;
        self.fields
            .push(FieldPath::of("spec.securityContext").field(names));
    }

    /// `None` without offenders, else what `failure` makes of them.
    pub fn none_or<T>(self, failure: impl FnOnce(Self) -> T) -> Option<T> {
        if self.fields.is_empty() {
            None
        } else {
            Some(failure(self))
        }
    }

    /// `pod`, `container "a"`, or both joined by `and`.
    pub fn setters_text(&self) -> String {
        match (self.pod, self.names.as_slice()) {
            (true, []) => "pod".to_owned(),
            (true, names) => format!("pod and {}", container_text(names)),
            (false, names) => container_text(names),
        }
    }

    /// The values, quoted.
    pub fn values_text(&self) -> String {
        join_quote(self.values.iter())
    }
}

/// The annotations that `concern` a check and have a value it forbids: each as upstream lists it,
/// `key="value"`, in upstream's order, with its path.
pub fn forbidden_annotations(
    pod: &PodView<'_, '_>,
    concern: impl Fn(&str) -> bool,
    is_allowed: fn(&str) -> bool,
) -> BTreeMap<String, FieldPath> {
    let annotations = || {
        let all = pod.metadata.annotations.iter();
        all.filter(|(key, _)| concern(key))
    };
    if annotations().all(|(_, value)| is_allowed(value)) {
        return BTreeMap::new();
    }
    // Of a key that comes twice the last value counts, as in Go.
    let last: BTreeMap<&str, &str> = annotations().collect();
    let forbidden = last.into_iter().filter(|(_, value)| !is_allowed(value));
    let path = |key| FieldPath::of("metadata.annotations").key(key);
    let listed = |(key, value)| (format!("{key}={}", go_quote(value)), path(key));
    forbidden.map(listed).collect()
}

/// `container "a"` or `containers "a", "b"`.
pub fn container_text(names: &[&str]) -> String {
    format!(
        "{} {}",
        pluralize("container", "containers", names.len()),
        join_quote(names)
    )
}

/// `singular` for one, else `plural`.
pub fn pluralize(singular: &'static str, plural: &'static str, count: usize) -> &'static str {
    if count == 1 { singular } else { plural }
}

/// Raw texts between double quotes, joined by `, ` (`joinQuote` upstream escapes nothing).
pub fn join_quote<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut joined = String::new();
    for item in items {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push('"');
        joined.push_str(item.as_ref());
        joined.push('"');
    }
    joined
}

/// Texts joined by `separator`.
pub fn join<S: AsRef<str>>(items: impl IntoIterator<Item = S>, separator: &str) -> String {
    let mut joined = String::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item.as_ref());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::objects::Pod;

    #[test]
    fn of_an_annotation_given_twice_the_last_value_counts() {
        let listed = |annotations: &str| -> Vec<String> {
            let text = format!("{{\"metadata\": {{\"annotations\": {annotations}}}}}");
            let pod: Pod = json::from_str(&text).unwrap();
            let view = PodView {
                metadata: &pod.metadata,
                spec: &pod.spec,
                base: "",
            };
            let forbidden = forbidden_annotations(&view, |_| true, |value| value == "good");
            forbidden.into_keys().collect()
        };
        assert_eq!(
            listed(r#"{"a": "bad", "b": "bad", "a": "good"}"#),
            ["b=\"bad\""]
        );
        assert_eq!(listed(r#"{"a": "good", "a": "bad"}"#), ["a=\"bad\""]);
    }
}
