//! Names of objects as flags give them.

use std::fmt;
use std::str::FromStr;

use super::wire::is_namespace_name;

/// A namespaced object, written `NAMESPACE/NAME`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectName {
    /// The namespace, an RFC 1123 label.
    pub namespace: String,
    /// The name, an RFC 1123 subdomain.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_namespace_name(namespace) && is_object_name(name) => {
                Ok(ObjectName {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err("expected NAMESPACE/NAME, such as tidegate/tidegate-tls".to_owned()),
        }
    }
}

/// Whether `name` may go into the path of a request: labels of RFC 1123 with dots between.
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_namespace_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_namespace_and_a_name_are_taken() {
        let name: ObjectName = "tidegate/tidegate-tls.v1".parse().unwrap();
        assert_eq!(name.to_string(), "tidegate/tidegate-tls.v1");
        for bad in ["", "a", "a/", "/a", "a/b/c", "a/..", "A/b", "a/b?c"] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
        }
    }
}
