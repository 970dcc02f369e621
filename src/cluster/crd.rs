//! The schemas of tidegate's objects, from which the definitions in the chart are generated, and the
//! status that tidegate writes.
//!
//! The schema refuses what an API server can refuse on its own; what an object means is read by
//! [`crate::policy`] alone. Unknown fields are kept and not pruned: a misspelt field that vanished
//! would be a gap that nobody sees, while a kept one is refused by name.

mod definitions;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::definitions::definitions;

/// What happens to a finding.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing: the check does not run.
    Off,
    /// It is recorded.
    Audit,
    /// The client is told.
    Warn,
    /// The request is denied.
    Enforce,
}

/// Which controls apply where, in which mode, with which settings.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "ControlPolicy",
    doc = "Which controls apply where, in which mode, with which settings.",
    plural = "controlpolicies",
    shortname = "tgp",
    category = "tidegate",
    status = "ControlPolicyStatus",
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode","description":"Mode of controls that name none"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether this version is in force"}"#,
    printcolumn = r#"{"name":"Findings","type":"integer","jsonPath":".status.findings","description":"Findings since this version came into force"}"#,
    printcolumn = r#"{"name":"Namespaces","type":"integer","jsonPath":".status.matchedNamespaces","priority":1}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ControlPolicySpec {
    /// Mode of the controls below that name none.
    #[schemars(extend("default" = "audit"))]
    pub mode: Option<Mode>,
    /// Which namespaces the policy is for; all parts must hold. Left out: all of them.
    pub namespaces: Option<Namespaces>,
    /// The controls that apply, by their ids; a control that is not listed does not.
    #[schemars(extend("maxProperties" = 64))]
    pub controls: Option<BTreeMap<String, ControlSetup>>,
    /// What differs in some namespaces, in order; the last that matches wins.
    #[schemars(length(max = 64))]
    pub overrides: Option<Vec<OverrideSpec>>,
    /// What may be excepted from this policy, by whom and for how long.
    pub exceptions: Option<ExceptionRulesSpec>,
    /// Who may open the policy in an emergency, and for how long.
    pub break_glass: Option<BreakGlassSpec>,
}

/// A choice of namespaces.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Namespaces {
    /// Globs of names that are in; left out: all.
    #[schemars(length(min = 1, max = 512), inner(length(min = 1, max = 253)))]
    pub include: Option<Vec<String>>,
    /// Globs of names that are out all the same.
    #[schemars(length(max = 512), inner(length(min = 1, max = 253)))]
    pub exclude: Option<Vec<String>>,
    /// What the labels of the namespace must be.
    pub selector: Option<LabelSelector>,
}

/// A label selector as Kubernetes has it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct LabelSelector {
    /// Labels that must have these values.
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Requirements that must all hold.
    #[schemars(length(max = 64))]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend(
    "x-kubernetes-preserve-unknown-fields" = true,
    "x-kubernetes-validations" = [{
        "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
        "message": "In and NotIn need values; Exists and DoesNotExist take none"
    }]
))]
pub struct LabelRequirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
    /// Its values.
    #[schemars(length(max = 256))]
    pub values: Option<Vec<String>>,
}

/// What is asked of a label.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub enum Operator {
    /// It is one of the values.
    In,
    /// It is none of the values, or absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

/// A control as the policy applies it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ControlSetup {
    /// Its mode; left out: that of the policy.
    pub mode: Option<Mode>,
    /// Its settings; `tidegate controls ID` lists them.
    #[serde(default)]
    #[schemars(schema_with = "free_object")]
    pub settings: Option<Value>,
    /// Modes of single checks, by their ids.
    #[schemars(extend("maxProperties" = 64))]
    pub checks: Option<BTreeMap<String, CheckSetup>>,
}

/// A check as the policy applies it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct CheckSetup {
    /// Its mode.
    pub mode: Mode,
}

/// What differs in some namespaces.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct OverrideSpec {
    /// Which namespaces.
    pub namespaces: Namespaces,
    /// What differs there.
    #[schemars(extend("maxProperties" = 64))]
    pub controls: Option<BTreeMap<String, ControlSetup>>,
}

/// What may be excepted from a policy.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ExceptionRulesSpec {
    /// The most days an exception may last.
    #[schemars(range(min = 1, max = 3650), extend("default" = 90))]
    pub max_days: Option<u16>,
    /// Groups of which an approver must be in one; left out: whoever may write
    /// controlexceptions/status, except who asked.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1)))]
    pub approver_groups: Option<Vec<String>>,
    /// Controls, or control/check, that are never excepted.
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub never: Option<Vec<String>>,
    /// Whether one exception may name every control at once, by "*".
    pub all_controls: Option<bool>,
}

/// Who may open a policy in an emergency.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct BreakGlassSpec {
    /// Groups of which the caller must be in one.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1)))]
    pub groups: Vec<String>,
    /// The most hours the policy may be open.
    #[schemars(range(min = 1, max = 72), extend("default" = 4))]
    pub max_hours: Option<u16>,
}

/// What tidegate says of a policy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ControlPolicyStatus {
    /// The generation this status is about.
    pub observed_generation: Option<i64>,
    /// `Ready`: whether this version is in force; `BreakGlass`: whether somebody opened it.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many namespaces it selects.
    pub matched_namespaces: Option<i64>,
    /// Findings since this version came into force.
    pub findings: Option<i64>,
    /// The version in force, so that a replica that starts has it too.
    pub in_force: Option<InForceSpec>,
}

/// The version of a policy that is in force.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct InForceSpec {
    /// Its generation.
    pub generation: i64,
    /// Its spec.
    #[schemars(schema_with = "free_object")]
    pub spec: Value,
}

/// A condition, as all Kubernetes objects have them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in words.
    pub message: String,
    /// When the status last changed, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The generation it is about.
    pub observed_generation: Option<i64>,
}

/// A dated, owned and approved lowering of controls for named objects of its namespace.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "ControlException",
    doc = "A dated, owned and approved lowering of controls for named objects of its namespace.",
    plural = "controlexceptions",
    namespaced,
    shortname = "tgx",
    category = "tidegate",
    status = "ControlExceptionStatus",
    printcolumn = r#"{"name":"Owner","type":"string","jsonPath":".spec.owner"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Approved","type":"string","jsonPath":".status.approval.approvedBy","description":"Who approved it"}"#,
    printcolumn = r#"{"name":"Active","type":"boolean","jsonPath":".status.active"}"#,
    printcolumn = r#"{"name":"Uses","type":"integer","jsonPath":".status.uses","priority":1}"#,
    printcolumn = r#"{"name":"Controls","type":"string","jsonPath":".spec.controls","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ControlExceptionSpec {
    /// What it lowers: controls, or control/check. "*" alone means every control, where the policy
    /// allows that.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub controls: Vec<String>,
    /// The objects it is for; all parts must hold.
    #[serde(rename = "match")]
    pub matched: MatchSpec,
    /// Why.
    #[schemars(length(min = 1, max = 4096))]
    pub reason: String,
    /// Who answers for it.
    #[schemars(length(min = 1, max = 253))]
    pub owner: String,
    /// Where it is discussed.
    #[schemars(length(max = 1024))]
    pub ticket: Option<String>,
    /// The user name of who writes this spec.
    #[schemars(length(min = 1, max = 1024))]
    pub requested_by: String,
    /// When it ends by itself.
    #[schemars(extend("format" = "date-time"))]
    pub expires: String,
}

/// Which objects an exception is for.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[schemars(extend(
    "x-kubernetes-preserve-unknown-fields" = true,
    "x-kubernetes-validations" = [{
        "rule": "(has(self.kinds) && size(self.kinds) > 0) || (has(self.names) && size(self.names) > 0) || (has(self.selector) && (has(self.selector.matchLabels) || has(self.selector.matchExpressions)))",
        "message": "match needs kinds, names or a selector: an exception is not for a whole namespace"
    }]
))]
pub struct MatchSpec {
    /// Their kinds, such as Deployment; left out: any.
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub kinds: Option<Vec<String>>,
    /// Globs of their names; left out: any.
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub names: Option<Vec<String>>,
    /// What their labels must be.
    pub selector: Option<LabelSelector>,
}

/// What is said of an exception: its approval by somebody, the rest by tidegate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ControlExceptionStatus {
    /// Who approved it; written by that person.
    pub approval: Option<ApprovalStatus>,
    /// Whether it lowers anything now.
    pub active: Option<bool>,
    /// When it last lowered a finding.
    #[schemars(extend("format" = "date-time"))]
    pub last_used: Option<String>,
    /// For how many requests it lowered findings.
    pub uses: Option<i64>,
    /// The generation this status is about.
    pub observed_generation: Option<i64>,
    /// `Ready`: whether it is in force; `Expiring`: whether it ends within 14 days.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// An approval.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The user name of who approves.
    #[schemars(length(min = 1, max = 1024))]
    pub approved_by: String,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub approved_at: String,
    /// The generation that was approved; recorded by tidegate.
    pub generation: Option<i64>,
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
