//! One check of the Pod Security Standards: its versions and what each of them looks at.

use crate::control::Check;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::level::Level;

/// A check with its history.
#[derive(Debug)]
pub struct PodCheck {
    /// Id, summary, fix and fields.
    pub check: Check,
    /// The level that brings the check in: baseline or restricted.
    pub level: Level,
    /// Its versions, oldest first.
    pub steps: &'static [Step],
}

/// A check as it has been since one minor version of Kubernetes.
#[derive(Debug)]
pub struct Step {
    /// The minor version, `22` for v1.22.
    pub from: u16,
    /// Baseline checks that do not run where this restricted one does.
    pub overrides: &'static [&'static str],
    /// What is wrong with a pod, if anything.
    pub run: fn(&PodView<'_, '_>) -> Option<Failure>,
}

/// What a check says of a pod, in upstream's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Upstream's `ForbiddenReason`.
    pub reason: &'static str,
    /// Upstream's `ForbiddenDetail`.
    pub detail: String,
    /// Every field that breaks the check, relative to the pod.
    pub fields: Vec<FieldPath>,
    /// What to do, where the check's own fix would name too much.
    pub fix: Option<String>,
}

impl Failure {
    /// Reason and detail as upstream prints them (`ForbiddenDetail` in `policy/checks.go`).
    pub fn text(&self) -> String {
        if self.detail.is_empty() {
            self.reason.to_owned()
        } else {
            format!("{} ({})", self.reason, self.detail)
        }
    }
}
