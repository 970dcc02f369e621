//! What a control is: static data about it, and a rule made from its settings.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::facts::{Facts, Needs};
use crate::path::FieldPath;
use crate::policy::settings::{Cursor, Problems};
use crate::review::Cause;
use crate::subject::Input;

/// What happens to a finding, from least to most.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mode {
    /// Nothing: the check does not run.
    Off,
    /// It is recorded.
    #[default]
    Audit,
    /// The client is told.
    Warn,
    /// The request is denied.
    Enforce,
}

impl Mode {
    /// Every mode, from least to most.
    pub const ALL: [Mode; 4] = [Mode::Off, Mode::Audit, Mode::Warn, Mode::Enforce];

    /// The mode as policies spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Audit => "audit",
            Mode::Warn => "warn",
            Mode::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The row of the shared-responsibility model a control belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Area {
    /// Who may do what.
    Identity,
    /// Who reaches whom.
    Network,
    /// What is stored and how.
    Data,
    /// What runs and with which rights.
    Workload,
    /// What keeps running.
    Availability,
    /// What can be shown to others.
    Compliance,
    /// What happens when something goes wrong.
    Incident,
}

impl Area {
    /// The area's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Area::Identity => "identity",
            Area::Network => "network",
            Area::Data => "data",
            Area::Workload => "workload",
            Area::Availability => "availability",
            Area::Compliance => "compliance",
            Area::Incident => "incident",
        }
    }
}

/// Makes a rule from the settings of a policy.
pub type Configure = fn(Option<Cursor<'_>>, &mut Problems) -> Option<Arc<dyn Rule>>;

/// One thing the customer is responsible for and tidegate can check.
#[derive(Debug)]
pub struct Control {
    /// Kebab-case, stable for ever.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Where it belongs.
    pub area: Area,
    /// The rows of the shared-responsibility model it serves, as the platform's pages name them.
    pub responsibilities: &'static [&'static str],
    /// The frameworks and their items it gives evidence for.
    pub frameworks: &'static [&'static str],
    /// What it is for, in Markdown, for the catalogue.
    pub description: &'static str,
    /// Its checks, in the order findings are listed.
    pub checks: &'static [&'static Check],
    /// Its settings.
    pub settings: &'static [Setting],
    /// Manifests that pass and fail; they are also its tests.
    pub examples: &'static [Example],
    /// Makes the rule from the settings of a policy; `None` where the policy gives none. Everything
    /// wrong goes to the problems, and then there is no rule.
    pub configure: Configure,
}

impl Control {
    /// The check of this id, among the control's own and those every control has.
    pub fn check(&self, id: &str) -> Option<&'static Check> {
        let own = self.checks.iter().copied();
        own.chain(Check::EVERY_CONTROL.iter().copied())
            .find(|check| check.id == id)
    }
}

/// One rule inside a control.
#[derive(Debug, Eq, PartialEq)]
pub struct Check {
    /// Unique within the control, stable for ever.
    pub id: &'static str,
    /// What it demands, one sentence.
    pub summary: &'static str,
    /// What to do about a finding: one short sentence.
    pub fix: &'static str,
    /// The fields it looks at, relative to the pod or object.
    pub fields: &'static [&'static str],
}

impl Check {
    /// The object could not be read.
    pub const UNREADABLE: Check = Check {
        id: "unreadable",
        summary: "The object can be read.",
        fix: "Correct the field; `kubectl apply --dry-run=server --validate=strict` names more.",
        fields: &[],
    };
    /// Something the control needs to know could not be had.
    pub const UNAVAILABLE: Check = Check {
        id: "unavailable",
        summary: "What the control needs to know about the cluster can be had.",
        fix: "Try again; if it stays, ask the cluster's operators to look at tidegate's log.",
        fields: &[],
    };
    /// The control itself failed.
    pub const FAILED: Check = Check {
        id: "failed",
        summary: "The control comes to a decision.",
        fix: "This is a defect of tidegate: please report it with the object.",
        fields: &[],
    };
    /// The checks every control has beside its own: nothing unknown is allowed by accident.
    pub const EVERY_CONTROL: [&'static Check; 3] =
        [&Check::UNREADABLE, &Check::UNAVAILABLE, &Check::FAILED];
}

/// A setting of a control.
#[derive(Debug)]
pub struct Setting {
    /// Name, dotted where it is nested.
    pub name: &'static str,
    /// What may be given.
    pub values: &'static str,
    /// What holds when nothing is given.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// A manifest that passes or fails.
#[derive(Debug)]
pub struct Example {
    /// File name under `tests/controls/<id>/`.
    pub name: &'static str,
    /// The check it fails; `None` if it passes.
    pub fails: Option<&'static str>,
    /// The YAML text.
    pub manifest: &'static str,
}

/// A control with its settings read: what a policy compiles to and a request runs.
///
/// Both methods are synchronous and cannot fail; a panic in them is caught and becomes a finding.
pub trait Rule: fmt::Debug + Send + Sync {
    /// What the rule must know to decide this request.
    fn needs(&self, input: &Input<'_>) -> Needs;

    /// Decides the request and reports every violation.
    fn check(&self, input: &Input<'_>, facts: &Facts, report: &mut Report);
}

/// What a rule found in one subject.
#[derive(Debug, Default)]
pub struct Report {
    /// The violations, in the order of the control's checks.
    pub violations: Vec<Violation>,
    /// Remarks for the audit annotations: which level was applied, why a request is exempt.
    pub notes: Vec<(&'static str, String)>,
}

/// One check violated by one subject, before a policy's mode is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The check.
    pub check: &'static Check,
    /// The strictest mode this violation may have.
    pub ceiling: Mode,
    /// Whether it lets this request pass even in mode enforce: what is found in a pod template will
    /// deny its pods, not the template.
    pub advisory: bool,
    /// What is wrong.
    pub message: String,
    /// Every field that breaks the check.
    pub fields: Vec<FieldPath>,
    /// How to fix it.
    pub fix: Cow<'static, str>,
    /// The causes of an `Invalid` (422) answer, where the request is malformed and not forbidden.
    pub invalid: Option<Vec<Cause>>,
}

impl Violation {
    /// A violation that denies in mode enforce.
    pub fn new(check: &'static Check, message: impl Into<String>) -> Self {
        Violation {
            check,
            ceiling: Mode::Enforce,
            advisory: false,
            message: message.into(),
            fields: Vec::new(),
            fix: Cow::Borrowed(check.fix),
            invalid: None,
        }
    }
}

/// A violation with the mode the policies in force give it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Id of the control.
    pub control: &'static str,
    /// Its mode: audit, warn or enforce.
    pub mode: Mode,
    /// The mode it would have without the cap of audit-only or of an opened policy.
    pub uncapped: Mode,
    /// The exception that lowered it, `namespace/name`.
    pub exception: Option<Arc<str>>,
    /// The policies that asked for it, the strictest first.
    pub policies: Vec<Arc<str>>,
    /// What was violated.
    pub violation: Violation,
}

impl Finding {
    /// Whether it denies the request.
    pub fn denies(&self) -> bool {
        self.mode == Mode::Enforce && !self.violation.advisory
    }

    /// What would follow from it without the cap: `deny`, `warn` or `allow`.
    pub fn would(&self) -> &'static str {
        match self.uncapped {
            Mode::Enforce if !self.violation.advisory => "deny",
            Mode::Enforce | Mode::Warn => "warn",
            Mode::Audit | Mode::Off => "allow",
        }
    }

    /// `control/check`.
    pub fn rule(&self) -> String {
        format!("{}/{}", self.control, self.violation.check.id)
    }
}
