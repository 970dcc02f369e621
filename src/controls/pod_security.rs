//! Control `pod-security`: the Pod Security Standards, decided as upstream's admission decides them.
//!
//! Everything follows `k8s.io/pod-security-admission` v0.37: the checks and their versions
//! ([`checks`], [`registry`]), the labels ([`labels`]) and what is looked at when ([`admission`]).
//! Ours alone are the floor (`settings.minimum`), the denial of templates (`settings.templates`)
//! and that every finding names its fields.

pub mod admission;
pub mod check;
pub mod checks;
pub mod existing;
pub mod labels;
pub mod level;
pub mod outcome;
pub mod quote;
pub mod registry;
pub mod rule;
pub mod settings;
pub mod visit;

use crate::control::{Area, Check, Control, Example, Setting};

/// A Namespace's label is below the floor.
pub static NAMESPACE_LEVEL: Check = Check {
    id: "namespaceLevel",
    summary: "No namespace label asks for a level below the floor.",
    fix: "Raise the label, or remove it.",
    fields: &["metadata.labels[\"pod-security.kubernetes.io/enforce\"]"],
};

/// A Namespace's pod-security labels cannot be read.
pub static NAMESPACE_LABELS: Check = Check {
    id: "namespaceLabels",
    summary: "The pod-security labels of a namespace can be read.",
    fix: "Use privileged, baseline or restricted, and latest or v1.N.",
    fields: &["metadata.labels"],
};

/// A Namespace's label does not do what it seems to: its pods break it already, or it is exempt.
pub static EXISTING_PODS: Check = Check {
    id: "existingPods",
    summary: "The pods that run in a namespace satisfy its new level, and the level is in force there.",
    fix: "Change the workloads before the level denies their next pods.",
    fields: &["metadata.labels[\"pod-security.kubernetes.io/enforce\"]"],
};

/// The control.
pub static CONTROL: Control = Control {
    id: "pod-security",
    title: "Pod Security Standards",
    area: Area::Workload,
    responsibilities: &["Pod security standards"],
    frameworks: &[
        "Kubernetes Pod Security Standards: baseline, restricted",
        "CIS Kubernetes Benchmark 5.2: Pod Security Standards",
        "NSA/CISA Kubernetes Hardening Guide: Pod security",
    ],
    description: "Pods must satisfy a level of the Pod Security Standards: `privileged` (anything), \
`baseline` (no known way out of the container) or `restricted` (current hardening practice). A \
namespace chooses its levels by the labels `pod-security.kubernetes.io/enforce`, `audit` and `warn`, \
each with a `-version`; where it has none, `settings.default` holds. Decisions, order and texts are \
those of `k8s.io/pod-security-admission` v0.37. Unlike upstream's plug-in the defaults, the exemptions \
and a floor can be changed on a managed cluster, and every finding names its fields.",
    checks: &CHECKS,
    settings: &SETTINGS,
    examples: &EXAMPLES,
    configure: settings::configure,
};

/// Upstream's checks in its order, then those on Namespaces.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses a bad index"
)]
static CHECKS: [&Check; 22] = {
    let mut list = [&NAMESPACE_LEVEL; 22];
    let mut index = 0;
    while index < checks::ALL.len() {
        list[index] = &checks::ALL[index].check;
        index += 1;
    }
    list[index] = &NAMESPACE_LABELS;
    list[index + 1] = &NAMESPACE_LEVEL;
    list[index + 2] = &EXISTING_PODS;
    list
};

static SETTINGS: [Setting; 4] = [
    Setting {
        name: "default",
        values: "a map of enforce, enforce-version, audit, audit-version, warn, warn-version",
        default: "privileged at latest in all three",
        doc: "The levels where a namespace has no label. Takes what `defaults` of upstream's \
              PodSecurityConfiguration takes.",
    },
    Setting {
        name: "minimum",
        values: "a map of enforce, enforce-version",
        default: "none",
        doc: "A floor that no label lowers: pods must satisfy it and their namespace's level. A \
              Namespace whose label is below it is a finding of its own.",
    },
    Setting {
        name: "templates",
        values: "warn or enforce",
        default: "warn",
        doc: "What happens to a workload whose pods would be denied: upstream only warns; `enforce` \
              denies the workload itself.",
    },
    Setting {
        name: "exemptions",
        values: "a map of usernames, namespaces, runtimeClasses: lists of exact names",
        default: "none",
        doc: "Who and what is not judged, also not by the floor. Takes what `exemptions` of \
              upstream's PodSecurityConfiguration takes.",
    },
];

macro_rules! example {
    ($name:literal, $fails:expr) => {
        Example {
            name: $name,
            fails: $fails,
            manifest: include_str!(concat!("../../tests/controls/pod-security/", $name)),
        }
    };
}

static EXAMPLES: [Example; 3] = [
    example!("allow-pod.yaml", None),
    example!("deny-privileged-pod.yaml", Some("privileged")),
    example!("deny-host-network-deployment.yaml", Some("hostNamespaces")),
];
