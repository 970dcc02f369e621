//! Facts from manifests: what files say of the cluster, where no API server is asked.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::document::{Node, Value};

use super::{EXISTING_PODS_LIMIT, ExistingPods, Fact, Facts, Labels, Needs};

/// The label every namespace has, with its name as the value.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What a set of manifests declares. Of two manifests for one object the later holds.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The labels of each namespace, or why they cannot be read.
    namespaces: BTreeMap<Box<str>, Result<Labels, String>>,
    pods: BTreeMap<Box<str>, Pods>,
    now: Option<OffsetDateTime>,
}

/// The pods of one namespace.
#[derive(Clone, Debug, Default)]
struct Pods {
    json: Vec<Box<str>>,
    /// Where in `json` the pod of a name stands.
    by_name: BTreeMap<Box<str>, usize>,
}

impl Declared {
    /// Takes an object for a fact, if it is one. Where it names no namespace it is in
    /// `default_namespace`.
    pub fn add(&mut self, object: &Node, default_namespace: &str) {
        let text = |key| object.get(key).and_then(Node::as_str);
        let metadata = |key| {
            object
                .get("metadata")
                .and_then(|metadata| metadata.get(key)?.as_str())
        };
        let name = metadata("name").unwrap_or_default();
        match (text("apiVersion"), text("kind")) {
            (Some("v1"), Some("Namespace")) if !name.is_empty() => {
                self.namespaces.insert(name.into(), labels(object, name));
            }
            (Some("v1"), Some("Pod")) => {
                let namespace = metadata("namespace").unwrap_or(default_namespace);
                let pods = self.pods.entry(namespace.into()).or_default();
                let json = object.to_json().into_boxed_str();
                if let Some(known) = pods
                    .by_name
                    .get(name)
                    .and_then(|index| pods.json.get_mut(*index))
                {
                    *known = json;
                    return;
                }
                // Pods that the API server is to name are never the same.
                if !name.is_empty() {
                    pods.by_name.insert(name.into(), pods.json.len());
                }
                pods.json.push(json);
            }
            _ => {}
        }
    }

    /// The same facts at this time.
    #[must_use]
    pub fn at(self, now: OffsetDateTime) -> Self {
        Declared {
            now: Some(now),
            ..self
        }
    }

    /// Whether a manifest declares `namespace`. Where none does, [`Declared::facts`] takes it as one
    /// without labels but its name.
    pub fn declares(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// What is needed of a request in `namespace`.
    pub fn facts(&self, needs: Needs, namespace: &str) -> Facts {
        let mut facts = Facts {
            now: self.now,
            ..Facts::default()
        };
        if needs.namespace {
            facts.namespace = match self.namespaces.get(namespace) {
                Some(Ok(labels)) => Fact::Known(labels.clone()),
                Some(Err(why)) => Fact::Unavailable(why.clone()),
                None => Fact::Known(Labels::from_iter([(NAME_LABEL, namespace)])),
            };
        }
        if needs.existing_pods {
            let pods = self
                .pods
                .get(namespace)
                .map(|pods| &*pods.json)
                .unwrap_or_default();
            facts.existing_pods = Fact::Known(ExistingPods {
                pods: pods.iter().take(EXISTING_PODS_LIMIT).cloned().collect(),
                total: pods.len(),
            });
        }
        facts
    }
}

fn labels(namespace: &Node, name: &str) -> Result<Labels, String> {
    let labels = namespace
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"));
    let entries = match labels.map(|labels| &labels.value) {
        None => &[][..],
        Some(Value::Map(entries)) => entries,
        Some(_) => return Err(format!("the labels of namespace {name:?} are no map")),
    };
    let label = |(key, node): &(String, Node)| match &node.value {
        Value::String(value) => Ok((key.clone(), value.clone())),
        Value::Null => Ok((key.clone(), String::new())),
        _ => Err(format!(
            "label {key:?} of namespace {name:?} is {}, not a string",
            node.describe()
        )),
    };
    let own = [Ok((NAME_LABEL.to_owned(), name.to_owned()))];
    entries.iter().map(label).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    const NAMESPACE: Needs = Needs {
        namespace: true,
        existing_pods: false,
    };

    fn declared(text: &str) -> Declared {
        let mut declared = Declared::default();
        for document in parse(text) {
            declared.add(&document.unwrap().node, "default");
        }
        declared
    }

    #[test]
    fn a_namespace_has_its_labels_and_its_name() {
        let declared = declared(
            "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}",
        );
        let Fact::Known(labels) = declared.facts(NAMESPACE, "shop").namespace else {
            panic!("the labels are known");
        };
        let pairs: Vec<_> = labels.iter().collect();
        assert_eq!(
            pairs,
            [("kubernetes.io/metadata.name", "shop"), ("team", "a")]
        );
        assert!(declared.declares("shop"));
    }

    #[test]
    fn an_undeclared_namespace_has_only_its_name() {
        let declared = Declared::default();
        let expected = Fact::Known(Labels::from_iter([(NAME_LABEL, "other")]));
        assert_eq!(declared.facts(NAMESPACE, "other").namespace, expected);
        assert!(!declared.declares("other"));
    }

    #[test]
    fn labels_that_cannot_be_read_are_unavailable_and_not_empty() {
        for labels in ["{team: 7}", "[a]"] {
            let text = format!(
                "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {labels}}}}}"
            );
            let facts = declared(&text).facts(NAMESPACE, "shop");
            assert!(matches!(facts.namespace, Fact::Unavailable(_)), "{labels}");
        }
    }

    #[test]
    fn pods_are_found_by_namespace_once_each() {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {x: z}}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {generateName: b-}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}";
        let needs = Needs {
            namespace: false,
            existing_pods: true,
        };
        let Fact::Known(pods) = declared(text).facts(needs, "default").existing_pods else {
            panic!("the pods are known");
        };
        assert_eq!(pods.total, 2);
        assert!(pods.pods[0].contains(r#""x":"z""#));
    }
}
