//! One policy or exception of the cluster, with its last good version.

use std::fmt::Write as _;
use std::hash::Hasher;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::document::{self, Node};
use crate::json::tree::at;
use crate::policy::break_glass;
use crate::policy::exception::{Exception, control_exception};
use crate::policy::parse::control_policy;
use crate::policy::settings::Problem;
use crate::policy::{Policies, Policy};
use crate::report::text::visible;

/// Which of our kinds an object is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `ControlPolicy`.
    Policy,
    /// `ControlException`.
    Exception,
}

impl Kind {
    /// Both, in the order of their numbers.
    pub const ALL: [Kind; 2] = [Kind::Policy, Kind::Exception];

    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Policy => "ControlPolicy",
            Kind::Exception => "ControlException",
        }
    }

    /// The resource, as in URLs.
    pub const fn plural(self) -> &'static str {
        match self {
            Kind::Policy => "controlpolicies",
            Kind::Exception => "controlexceptions",
        }
    }

    /// The path of all its objects.
    pub const fn path(self) -> &'static str {
        match self {
            Kind::Policy => "/apis/tidegate.dev/v1alpha1/controlpolicies",
            Kind::Exception => "/apis/tidegate.dev/v1alpha1/controlexceptions",
        }
    }

    /// The name of its definition.
    pub const fn definition(self) -> &'static str {
        match self {
            Kind::Policy => "controlpolicies.tidegate.dev",
            Kind::Exception => "controlexceptions.tidegate.dev",
        }
    }
}

/// Kind, namespace and name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for a policy.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object, if it has a name.
    pub(in crate::cluster) fn of(kind: Kind, object: &Value) -> Option<Key> {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        (!name.is_empty()).then(|| Key {
            kind,
            namespace: text("namespace"),
            name,
        })
    }

    /// The path of the object.
    pub fn path(&self) -> String {
        match self.kind {
            Kind::Policy => format!("{}/{}", self.kind.path(), self.name),
            Kind::Exception => format!(
                "/apis/tidegate.dev/v1alpha1/namespaces/{}/{}/{}",
                self.namespace,
                self.kind.plural(),
                self.name
            ),
        }
    }
}

/// An object and what is in force of it.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which object.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation` of the object as it stands.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// What is wrong with the object as it stands; then what is in force is an older version.
    pub problems: Vec<Problem>,
    /// The policy in force.
    pub policy: Option<Arc<Policy>>,
    /// The exception in force; none while the object is not valid.
    pub exception: Option<Arc<Exception>>,
    /// The generation of what is in force.
    pub in_force_generation: Option<i64>,
    /// The spec of what is in force.
    pub in_force_spec: Value,
    /// `status` of the object as it stands.
    pub status: Value,
    /// What makes this version differ from others, for the digest.
    text: String,
}

impl Held {
    /// Reads an object; `before` is what was held of it.
    pub(in crate::cluster) fn read(key: Key, object: &Value, before: Option<Held>) -> Held {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let uid = text("uid");
        let mut held = Held {
            uid,
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            resource_version: text("resourceVersion"),
            problems: Vec::new(),
            policy: None,
            exception: None,
            in_force_generation: None,
            in_force_spec: Value::Null,
            status: object["status"].clone(),
            text: String::new(),
            key,
        };
        let Err(problems) = held.take(object) else {
            return held;
        };
        held.problems = problems;
        match held.key.kind {
            // The same object: another one of this name has nothing to do with the one that was good.
            Kind::Policy => match before
                .filter(|before| before.uid == held.uid && before.in_force_generation.is_some())
            {
                Some(before) => {
                    held.policy = before.policy;
                    held.in_force_generation = before.in_force_generation;
                    held.in_force_spec = before.in_force_spec;
                    held.text = before.text;
                }
                None => held.take_recorded(object),
            },
            // Nobody approved what it has become, and what it was may have been revoked: an
            // exception that cannot be read lowers nothing.
            Kind::Exception => {}
        }
        let stays = match (held.key.kind, held.in_force_generation) {
            (Kind::Exception, _) => "it lowers nothing",
            (Kind::Policy, Some(_)) => "its last good version stays in force",
            (Kind::Policy, None) => "nothing of it is in force",
        };
        tracing::warn!(
            kind = held.key.kind.as_str(),
            namespace = %visible(&held.key.namespace),
            name = %visible(&held.key.name),
            generation = held.generation,
            in_force = held.in_force_generation,
            problem = %held.problem().unwrap_or_default(),
            "an object that is not valid is not put in force; {stays}"
        );
        held
    }

    /// Takes the object as what is in force.
    fn take(&mut self, object: &Value) -> Result<(), Vec<Problem>> {
        let node = node(object);
        match self.key.kind {
            Kind::Policy => {
                self.policy = Some(Arc::new(
                    control_policy(&node).map_err(|problems| problems.0)?,
                ));
            }
            Kind::Exception => {
                let exception = control_exception(&node).map_err(|problems| problems.0)?;
                self.exception = Some(Arc::new(exception));
            }
        }
        self.in_force_generation = at(object, &["metadata", "generation"]).as_i64().or(Some(0));
        self.in_force_spec = object["spec"].clone();
        // Other annotations (what kubectl last applied, say) are no part of what is in force, and a
        // version that was taken from the status has none of them.
        let annotations = at(object, &["metadata", "annotations"]);
        let annotation = |name: &str| annotations.get(name).unwrap_or(&Value::Null);
        self.text = format!(
            "{} {} {} {} {}",
            self.uid,
            object["spec"],
            at(object, &["status", "approval"]),
            annotation(break_glass::UNTIL),
            annotation(break_glass::REASON)
        );
        Ok(())
    }

    /// Takes the version that the status says was in force. It is the parser again that decides.
    fn take_recorded(&mut self, object: &Value) {
        let recorded = at(object, &["status", "inForce"]);
        if recorded["spec"].is_null() {
            return;
        }
        // Without the annotations: an opened policy is not opened again by its own broken successor.
        let earlier = json!({
            "apiVersion": object["apiVersion"],
            "kind": object["kind"],
            "metadata": {
                "name": self.key.name,
                "namespace": self.key.namespace,
                "uid": self.uid,
                "generation": recorded["generation"],
            },
            "spec": recorded["spec"],
        });
        if self.take(&earlier).is_err() {
            self.text.clear();
        }
    }

    /// The first thing wrong, with its path, and how many more there are.
    pub fn problem(&self) -> Option<String> {
        let first = self.problems.first()?;
        let mut text = String::new();
        if !first.path.as_str().is_empty() {
            let _ = write!(text, "{}: ", first.path);
        }
        text.push_str(&first.message);
        if self.problems.len() > 1 {
            let _ = write!(text, " (and {} more)", self.problems.len() - 1);
        }
        Some(text)
    }
}

fn node(object: &Value) -> Node {
    let documents = document::parse(&object.to_string());
    let first = documents.into_iter().next().and_then(Result::ok);
    // Only a document beyond the reader's limits comes to nothing, and it has no spec either.
    first.map_or(
        Node {
            value: document::Value::Null,
            line: 0,
        },
        |document| document.node,
    )
}

/// A name for a state of policies and exceptions: equal on all replicas that hold the same.
pub(super) fn digest<'h>(base: &str, held: impl Iterator<Item = &'h Held>) -> Arc<str> {
    let mut hasher = Fnv::default();
    hasher.write(base.as_bytes());
    // What nothing is in force of makes no difference.
    for held in held.filter(|held| !held.text.is_empty()) {
        hasher.write(held.text.as_bytes());
        hasher.write_u8(0);
    }
    format!("{:016x}", hasher.finish()).into()
}

/// FNV-1a, 64 bits: stable over processes and versions, which the standard library's hashes are
/// not. It tells states apart and protects nothing.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Says loudly which policies somebody has opened.
pub(super) fn say_open(policies: &Policies) {
    let now = OffsetDateTime::now_utc();
    for policy in policies
        .list
        .iter()
        .filter(|policy| policy.is_open(Some(now)))
    {
        if let Some(opened) = &policy.opened {
            tracing::error!(
                policy = %visible(&policy.name),
                until = %opened.until,
                reason = %visible(&opened.reason),
                "BREAK-GLASS: this policy denies nothing until its end"
            );
        }
    }
}
