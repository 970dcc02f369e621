//! The settings of `pod-security`, and upstream's configuration file which holds the same.

use std::sync::Arc;

use crate::control::Rule;
use crate::policy::settings::{Cursor, Fields, Problems};

use super::labels::{LEVEL_DEMAND, Levels, VERSION_DEMAND};
use super::level::{Level, LevelVersion, Version};

/// The settings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The levels where a namespace has no label.
    pub default: Levels,
    /// The floor.
    pub minimum: Option<LevelVersion>,
    /// Whether a template that breaks the enforced level is denied.
    pub templates: Templates,
    /// Who and what is not judged.
    pub exemptions: Exemptions,
}

/// What happens to a workload whose pods would be denied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Templates {
    /// It is allowed with a warning, as upstream does.
    #[default]
    Warn,
    /// It is denied.
    Enforce,
}

/// Exact names that are not judged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exemptions {
    /// Of the user who asks.
    pub usernames: Vec<String>,
    /// Of the namespace.
    pub namespaces: Vec<String>,
    /// Of the pod's runtime class.
    pub runtime_classes: Vec<String>,
}

/// Makes the rule; see [`crate::control::Control::configure`].
pub fn configure(settings: Option<Cursor<'_>>, problems: &mut Problems) -> Option<Arc<dyn Rule>> {
    let before = problems.0.len();
    let settings = settings
        .map(|cursor| read(&cursor, problems))
        .unwrap_or_default();
    (problems.0.len() == before).then(|| Arc::new(settings) as Arc<dyn Rule>)
}

fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Settings {
    let fields = cursor.fields(&["default", "minimum", "templates", "exemptions"], problems);
    let choices = [("warn", Templates::Warn), ("enforce", Templates::Enforce)];
    let templates = fields
        .get("templates")
        .and_then(|field| field.choice(&choices, problems));
    Settings {
        default: fields
            .get("default")
            .map(|field| read_levels(field, problems))
            .unwrap_or_default(),
        minimum: fields
            .get("minimum")
            .and_then(|field| read_minimum(field, problems)),
        templates: templates.unwrap_or_default(),
        exemptions: fields
            .get("exemptions")
            .map(|field| read_exemptions(field, problems))
            .unwrap_or_default(),
    }
}

/// `defaults` of upstream's file and `default` of ours.
pub fn read_levels(cursor: &Cursor<'_>, problems: &mut Problems) -> Levels {
    let known = [
        "enforce",
        "enforce-version",
        "audit",
        "audit-version",
        "warn",
        "warn-version",
    ];
    let fields = cursor.fields(&known, problems);
    Levels {
        enforce: read_level_version(&fields, "enforce", "enforce-version", problems),
        audit: read_level_version(&fields, "audit", "audit-version", problems),
        warn: read_level_version(&fields, "warn", "warn-version", problems),
    }
}

/// Upstream takes an empty string for an absent field.
fn read_level_version(
    fields: &Fields<'_>,
    level: &str,
    version: &str,
    problems: &mut Problems,
) -> LevelVersion {
    let mut given = |name: &str| {
        let cursor = fields.get(name)?;
        let text = cursor.text(problems)?;
        (!text.is_empty()).then(|| (cursor.clone(), text))
    };
    let (level, version) = (given(level), given(version));
    let mut result = LevelVersion::default();
    if let Some((cursor, text)) = level {
        match Level::parse(text) {
            Some(level) => result.level = level,
            None => problems.add(&cursor, format!("{text:?} {LEVEL_DEMAND}")),
        }
    }
    if let Some((cursor, text)) = version {
        match Version::parse(text) {
            Some(version) => result.version = version,
            None => problems.add(&cursor, format!("{text:?} {VERSION_DEMAND}")),
        }
    }
    result
}

fn read_minimum(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<LevelVersion> {
    let fields = cursor.fields(&["enforce", "enforce-version"], problems);
    if fields.get("enforce").is_none() {
        problems.add(cursor, "a minimum needs enforce: baseline or restricted");
        return None;
    }
    Some(read_level_version(
        &fields,
        "enforce",
        "enforce-version",
        problems,
    ))
}

/// `exemptions` of upstream's file and of ours, with upstream's validation: names well-formed and
/// none twice.
pub fn read_exemptions(cursor: &Cursor<'_>, problems: &mut Problems) -> Exemptions {
    let fields = cursor.fields(&["usernames", "namespaces", "runtimeClasses"], problems);
    let mut names = |field: &str, demand: &str, valid: fn(&str) -> bool| {
        let mut names: Vec<String> = Vec::new();
        for element in fields
            .get(field)
            .map(|list| list.elements(problems))
            .unwrap_or_default()
        {
            let Some(name) = element.text(problems) else {
                continue;
            };
            if !valid(name) {
                problems.add(&element, format!("{name:?} must be {demand}"));
            } else if names.iter().any(|known| known == name) {
                problems.add(&element, format!("{name:?} comes twice"));
            } else {
                names.push(name.to_owned());
            }
        }
        names
    };
    Exemptions {
        usernames: names("usernames", "a user name", |name| !name.is_empty()),
        namespaces: names("namespaces", "a namespace's name (DNS label)", is_dns_label),
        runtime_classes: names(
            "runtimeClasses",
            "a runtime class's name (DNS subdomain)",
            is_dns_subdomain,
        ),
    }
}

fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_dns_part(name)
}

/// Kubernetes bounds a subdomain as a whole, not its parts.
fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_part)
}

fn is_dns_part(part: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}
