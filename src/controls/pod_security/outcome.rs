//! What became of a request: nothing is left out that upstream's answer holds, so that the test suite
//! can write that answer from it.

use crate::subject::Unreadable;

use super::check::{Failure, PodCheck};
use super::labels::{LabelError, Levels};
use super::level::LevelVersion;

/// The decision on one request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing to look at: another resource, an ignored subresource, an insignificant update.
    Ignored,
    /// Not judged because of this exemption.
    Exempt(Exemption),
    /// The namespace asks nothing in any mode.
    Privileged(Target),
    /// What decides could not be read. Pods are denied, templates allowed.
    Failed(Failed, Target),
    /// The pod or template was judged.
    Evaluated(Box<Evaluation>),
    /// The Namespace was judged.
    Namespace(NamespaceOutcome),
}

/// What a request changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// A Pod.
    Pod,
    /// A kind with a pod template.
    Template,
    /// A Namespace.
    Namespace,
}

/// Why a request is not judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exemption {
    /// Its namespace.
    Namespace,
    /// Its user.
    User,
    /// The pod's runtime class.
    RuntimeClass,
}

impl Exemption {
    /// Upstream's value of the audit annotation `exempt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Exemption::Namespace => "namespace",
            Exemption::User => "user",
            Exemption::RuntimeClass => "runtimeClass",
        }
    }
}

/// What could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failed {
    /// The labels of the namespace; the reason is for the log.
    Lookup(String),
    /// The object.
    Object(Unreadable),
    /// The object is of another kind than its resource.
    Kind(String),
    /// The object before the update.
    OldObject(Unreadable),
    /// The object before the update is of another kind.
    OldKind(String),
}

/// Which checks failed.
pub type Failures = Vec<(&'static PodCheck, Failure)>;

/// A pod or template judged at every level that applies.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Pod or template.
    pub target: Target,
    /// Path of the pod in the object.
    pub base: &'static str,
    /// The levels in force.
    pub levels: Levels,
    /// The labels that could not be read.
    pub label_errors: Vec<LabelError>,
    /// What fails at the enforced level. Upstream does not look at it for templates.
    pub enforce: Failures,
    /// What fails at the audited level.
    pub audit: Failures,
    /// What fails at the level warned about. Upstream does not look when the pod is denied.
    pub warn: Failures,
    /// What fails at the floor, which upstream does not know.
    pub floor: Failures,
}

/// A Namespace judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceOutcome {
    /// Labels that deny the request because they cannot be read.
    pub invalid: Vec<LabelError>,
    /// What the client is told: the exemption of the namespace, or its existing pods.
    pub warnings: Vec<String>,
    /// The enforced level, where a label asks for one below the floor.
    pub below_floor: Option<LevelVersion>,
}
