//! The levels a namespace's labels choose (`PolicyToEvaluate` in `api/helpers.go`).

use super::level::{Level, LevelVersion, Version};
use super::quote::go_quote;

/// `enforce`
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// `enforce-version`
pub const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// `audit`
pub const AUDIT: &str = "pod-security.kubernetes.io/audit";
/// `audit-version`
pub const AUDIT_VERSION: &str = "pod-security.kubernetes.io/audit-version";
/// `warn`
pub const WARN: &str = "pod-security.kubernetes.io/warn";
/// `warn-version`
pub const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";

/// What a wrong level is told.
pub const LEVEL_DEMAND: &str = "must be one of privileged, baseline, restricted";
/// What a wrong version is told.
pub const VERSION_DEMAND: &str = "must be \"latest\" or \"v1.x\"";

/// The levels in force in a namespace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Levels {
    /// What pods must satisfy.
    pub enforce: LevelVersion,
    /// What is recorded when they do not.
    pub audit: LevelVersion,
    /// What is said when they do not.
    pub warn: LevelVersion,
}

impl Levels {
    /// Whether nothing is asked in any mode.
    pub fn privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn]
            .iter()
            .all(|lv| lv.level == Level::Privileged)
    }

    /// Whether both ask the same in every mode.
    pub fn equivalent(&self, other: &Levels) -> bool {
        self.enforce.equivalent(other.enforce)
            && self.audit.equivalent(other.audit)
            && self.warn.equivalent(other.warn)
    }
}

/// A label that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelError {
    /// The label.
    pub label: &'static str,
    /// Its value.
    pub value: String,
    /// What the value must be.
    pub demand: &'static str,
}

impl LabelError {
    /// The field as upstream's causes name it.
    pub fn field(&self) -> String {
        format!("metadata.labels[{}]", self.label)
    }

    /// The message of upstream's cause.
    pub fn message(&self) -> String {
        format!("Invalid value: {}: {}", go_quote(&self.value), self.demand)
    }
}

/// The levels that `labels` choose over `defaults`, and the labels that cannot be read. There are
/// always levels: a wrong enforce level means restricted, a wrong audit or warn level privileged,
/// a wrong version latest.
pub fn levels<'l>(
    label: impl Fn(&str) -> Option<&'l str>,
    defaults: &Levels,
) -> (Levels, Vec<LabelError>) {
    let mut levels = *defaults;
    let mut errors = Vec::new();
    let mut level = |name: &'static str, fallback: Level| {
        let value = label(name)?;
        let parsed = Level::parse(value);
        if parsed.is_none() {
            errors.push(LabelError {
                label: name,
                value: value.to_owned(),
                demand: LEVEL_DEMAND,
            });
        }
        Some((parsed.unwrap_or(fallback), parsed.is_some()))
    };
    let enforce = level(ENFORCE, Level::Restricted);
    let audit = level(AUDIT, Level::Privileged);
    let warn = level(WARN, Level::Privileged);
    let mut version = |name: &'static str| {
        let value = label(name)?;
        let parsed = Version::parse(value);
        if parsed.is_none() {
            errors.push(LabelError {
                label: name,
                value: value.to_owned(),
                demand: VERSION_DEMAND,
            });
        }
        Some(parsed.unwrap_or(Version::Latest))
    };
    let (enforce_version, audit_version, warn_version) = (
        version(ENFORCE_VERSION),
        version(AUDIT_VERSION),
        version(WARN_VERSION),
    );

    let set =
        |target: &mut LevelVersion, level: Option<(Level, bool)>, version: Option<Version>| {
            target.level = level.map_or(target.level, |(level, _)| level);
            target.version = version.unwrap_or(target.version);
        };
    set(&mut levels.enforce, enforce, enforce_version);
    set(&mut levels.audit, audit, audit_version);
    set(&mut levels.warn, warn, warn_version);

    // A namespace that asks for more than the default warn level is warned at what it asks for.
    let enforce_is_valid = enforce.is_some_and(|(_, valid)| valid);
    if warn.is_none() && enforce_is_valid && levels.enforce.level > levels.warn.level {
        levels.warn.level = levels.enforce.level;
        if warn_version.is_none() {
            levels.warn.version = levels.enforce.version;
        }
    }
    errors.sort_by_key(|error| ORDER.iter().position(|label| *label == error.label));
    (levels, errors)
}

/// The order in which upstream reads the labels.
const ORDER: [&str; 6] = [
    ENFORCE,
    ENFORCE_VERSION,
    AUDIT,
    AUDIT_VERSION,
    WARN,
    WARN_VERSION,
];
