//! One object, judged as the request that would create it.

use std::borrow::Cow;

use time::OffsetDateTime;

use crate::control::{Finding, Mode};
use crate::controls;
use crate::evaluate::evaluate;
use crate::facts::{ExistingPods, Fact, Facts, Labels};
use crate::json::Raw;
use crate::objects::Text;
use crate::policy::Policies;
use crate::policy::selection::Place;
use crate::report::text::shorten;
use crate::review::{Kind, Operation, Request, Resource};
use crate::subject::Input;

use super::Namespace;

/// The most bytes kept of one message.
const MESSAGE: usize = 512;

/// A kind of object that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct KindOf {
    /// API group; empty for the core group.
    pub(super) group: &'static str,
    /// Kind.
    pub(super) kind: &'static str,
    /// Resource, as in URLs.
    pub(super) resource: &'static str,
}

/// Namespaces.
const NAMESPACE: KindOf = KindOf {
    group: "",
    kind: "Namespace",
    resource: "namespaces",
};

/// What would block an object, kept short.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Block {
    pub(super) control: &'static str,
    pub(super) check: &'static str,
    pub(super) message: String,
}

/// What one object would be blocked by, in one of the two ways of judging.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Blocked {
    /// What denies the object itself.
    pub(super) itself: Vec<Block>,
    /// What denies the pods of its template.
    pub(super) template: Vec<Block>,
}

/// Both ways: as the policies are written, and as if everything were enforced.
pub(super) type Both = [Blocked; 2];

/// The policies in both ways of judging.
pub(super) struct Judge {
    policies: [Policies; 2],
    now: OffsetDateTime,
}

impl Judge {
    pub(super) fn new(policies: Policies, now: OffsetDateTime) -> Judge {
        let raised = policies.raised();
        Judge {
            policies: [policies, raised],
            now,
        }
    }

    /// The controls that apply to what is in a namespace, in the order of the catalogue.
    pub(super) fn controls(&self, name: &str, labels: &Labels) -> Vec<&'static str> {
        let labels = Fact::Known(labels.clone());
        let place = Place::In(name, &labels);
        let mut applied = Vec::new();
        for policies in &self.policies {
            for policy in &policies.list {
                policy.apply(&place, |control| applied.push(control.control.id));
            }
        }
        applied.sort_by_key(|id| controls::position(id));
        applied.dedup();
        applied
    }

    /// Judges a Namespace itself.
    pub(super) fn namespace(&self, name: &str, namespace: &Namespace) -> Both {
        self.object(NAMESPACE, name, name, &namespace.json, &namespace.labels)
    }

    /// Judges an object of a namespace with these labels.
    pub(super) fn object(
        &self,
        kind: KindOf,
        namespace: &str,
        name: &str,
        json: &str,
        labels: &Labels,
    ) -> Both {
        let text = |text| Text(Cow::Borrowed(text));
        let input = Input::new(Request {
            kind: Kind {
                group: text(kind.group),
                version: text("v1"),
                kind: text(kind.kind),
            },
            resource: Resource {
                group: text(kind.group),
                version: text("v1"),
                resource: text(kind.resource),
            },
            name: text(name),
            namespace: text(namespace),
            operation: Operation::Create,
            object: Some(Raw::assume(json)),
            ..Request::default()
        });
        let facts = Facts {
            now: Some(self.now),
            namespace: Fact::Known(labels.clone()),
            existing_pods: Fact::Known(ExistingPods::default()),
        };
        self.policies
            .each_ref()
            .map(|policies| blocked(&evaluate(policies, &input, &facts).findings))
    }
}

fn blocked(findings: &[Finding]) -> Blocked {
    let mut blocked = Blocked::default();
    // The mode before any cap: neither audit-only nor an opened policy is what is asked about.
    let enforced = findings
        .iter()
        .filter(|finding| finding.uncapped == Mode::Enforce);
    for finding in enforced {
        let violation = &finding.violation;
        let block = Block {
            control: finding.control,
            check: violation.check.id,
            message: shorten(&violation.message, MESSAGE).into_owned(),
        };
        if violation.advisory {
            blocked.template.push(block);
        } else {
            blocked.itself.push(block);
        }
    }
    blocked
}
