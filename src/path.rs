//! Field paths: built by the checks, never parsed.

use std::fmt;

/// Where in an object a field is, as a person would write it:
/// `spec.containers[0].securityContext.privileged`, `metadata.labels["a.b/c"]`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldPath(String);

impl FieldPath {
    /// The object itself: the empty path.
    pub fn root() -> FieldPath {
        FieldPath::default()
    }

    /// The path of dotted `names`, each of them a plain field name.
    pub fn of(names: &str) -> FieldPath {
        FieldPath(names.to_owned())
    }

    /// This path's dotted `names`.
    #[must_use]
    pub fn field(mut self, names: &str) -> FieldPath {
        if !self.0.is_empty() && !names.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(names);
        self
    }

    /// This list's element `index`.
    #[must_use]
    pub fn index(mut self, index: usize) -> FieldPath {
        self.0.push('[');
        self.0.push_str(&index.to_string());
        self.0.push(']');
        self
    }

    /// This map's entry `key`; in brackets and quotes unless it is a plain name.
    #[must_use]
    pub fn key(mut self, key: &str) -> FieldPath {
        let plain = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if plain {
            return self.field(key);
        }
        self.0.push_str("[\"");
        for character in key.chars() {
            match character {
                '"' | '\\' => self.0.extend(['\\', character]),
                control if control.is_control() => self.0.extend(control.escape_default()),
                other => self.0.push(other),
            }
        }
        self.0.push_str("\"]");
        self
    }

    /// The same place seen from further out: `base` before this path.
    #[must_use]
    pub fn below(self, base: &str) -> FieldPath {
        if base.is_empty() {
            return self;
        }
        FieldPath::of(base).field(&self.0)
    }

    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_a_person_would_write_them() {
        let path = FieldPath::of("spec")
            .field("containers")
            .index(2)
            .field("securityContext.privileged");
        assert_eq!(
            path.as_str(),
            "spec.containers[2].securityContext.privileged"
        );
        assert_eq!(
            path.below("spec.template").as_str(),
            "spec.template.spec.containers[2].securityContext.privileged"
        );
        let labels = || FieldPath::of("metadata.labels");
        assert_eq!(labels().key("app").as_str(), "metadata.labels.app");
        assert_eq!(labels().key("a.b/c").as_str(), "metadata.labels[\"a.b/c\"]");
        assert_eq!(
            labels().key("q\"\n").as_str(),
            "metadata.labels[\"q\\\"\\n\"]"
        );
        assert_eq!(FieldPath::root().field("spec").as_str(), "spec");
    }
}
