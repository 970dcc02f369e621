//! What an object belongs to.

use std::collections::HashMap;

use serde::Deserialize;

/// Owners of owners that are followed: pod, Job, `CronJob` and one more.
const LONGEST_CHAIN: usize = 4;

/// The few fields of any object that say what it is and belongs to.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) status: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    #[serde(default)]
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Deserialize)]
struct OwnerReference {
    kind: String,
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    phase: Option<String>,
}

/// Kind and name, within one namespace.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Name {
    pub(super) kind: String,
    pub(super) name: String,
}

impl Head {
    /// The controller it belongs to. A Node owns the pods it runs from its own files; those belong to
    /// nobody that could be asked to change them.
    pub(super) fn owner(&self) -> Option<Name> {
        let owners = self.metadata.owner_references.iter().flatten();
        let mut controllers = owners.filter(|owner| owner.controller == Some(true));
        let owner = controllers.next().filter(|owner| owner.kind != "Node")?;
        Some(Name {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        })
    }

    /// Whether a pod has ended and will not run again.
    pub(super) fn has_ended(&self) -> bool {
        let phase = self
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }
}

/// Who owns whom in one namespace.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<Name, Name>);

impl Owners {
    pub(super) fn add(&mut self, name: Name, owner: Name) {
        self.0.insert(name, owner);
    }

    /// The workload at the end of the chain that begins with `name`.
    pub(super) fn top(&self, name: Name) -> Name {
        let mut top = name;
        for _ in 0..LONGEST_CHAIN {
            match self.0.get(&top) {
                Some(owner) => top = owner.clone(),
                None => break,
            }
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: &str, name: &str) -> Name {
        Name {
            kind: kind.into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_chain_of_owners_is_followed_to_its_end_and_a_ring_ends_too() {
        let mut owners = Owners::default();
        owners.add(name("ReplicaSet", "web-1"), name("Deployment", "web"));
        assert_eq!(
            owners.top(name("ReplicaSet", "web-1")),
            name("Deployment", "web")
        );
        assert_eq!(owners.top(name("Job", "once")), name("Job", "once"));
        owners.add(name("A", "a"), name("B", "b"));
        owners.add(name("B", "b"), name("A", "a"));
        owners.top(name("A", "a"));
    }

    #[test]
    fn only_a_controller_that_is_no_node_is_an_owner() {
        let owner = |reference: &str| {
            let text = format!(
                r#"{{"metadata":{{"name":"a","namespace":"b","ownerReferences":[{reference}]}}}}"#
            );
            serde_json::from_str::<Head>(&text).unwrap().owner()
        };
        let job = r#"{"kind":"Job","name":"j","controller":true}"#;
        assert_eq!(owner(job), Some(name("Job", "j")));
        assert_eq!(owner(r#"{"kind":"Job","name":"j"}"#), None);
        assert_eq!(
            owner(r#"{"kind":"Node","name":"n","controller":true}"#),
            None
        );
    }
}
