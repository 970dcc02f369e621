//! The Pod Security levels in force in a namespace, and what decides each of them.

use serde::Serialize;

use crate::controls::pod_security::labels::{self, Levels};
use crate::controls::pod_security::level::LevelVersion;
use crate::controls::pod_security::settings::read_levels;
use crate::document::Node;
use crate::facts::Labels;
use crate::policy::settings::{Cursor, Problems};

use super::origin::{Origin, Part};

/// A level in force.
#[derive(Debug, Serialize)]
pub(super) struct InForce {
    /// `enforce`, `audit`, `warn` or `minimum`.
    pub(super) what: &'static str,
    /// The level and its version, `baseline:latest`.
    pub(super) level: String,
    /// What decides the level.
    #[serde(rename = "levelFrom")]
    pub(super) level_from: Origin,
    /// What decides the version.
    #[serde(rename = "versionFrom")]
    pub(super) version_from: Origin,
    /// What is to be known beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// What is enforced, audited or warned about; its labels; and where it is among the levels.
type Choice = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Levels) -> LevelVersion,
);

const LABELS: [Choice; 3] = [
    (
        "enforce",
        labels::ENFORCE,
        labels::ENFORCE_VERSION,
        |levels| levels.enforce,
    ),
    ("audit", labels::AUDIT, labels::AUDIT_VERSION, |levels| {
        levels.audit
    }),
    ("warn", labels::WARN, labels::WARN_VERSION, |levels| {
        levels.warn
    }),
];

/// The levels in force in a namespace with these labels, where `settings` is what the policy says.
pub(super) fn in_force(
    settings: Option<(&Node, Part)>,
    given: &Labels,
    label_from: &Origin,
) -> Vec<InForce> {
    let default = settings
        .as_ref()
        .and_then(|(node, part)| Some((node.get("default")?, part)));
    let defaults = default.map(|(node, _)| levels(node)).unwrap_or_default();
    let (effective, errors) = labels::levels(|key| given.get(key), &defaults);
    let from = |label: &'static str, field: &str| {
        if given.get(label).is_some() {
            return Origin {
                field: format!("metadata.labels[\"{label}\"]"),
                ..label_from.clone()
            };
        }
        let of_default = default.and_then(|(node, part)| {
            Some(part.at(node.get(field)?, &format!("settings.default.{field}")))
        });
        of_default.unwrap_or_else(Origin::built_in)
    };
    let mut list: Vec<InForce> = Vec::new();
    for (what, label, version_label, of) in LABELS {
        let value = of(&effective);
        let mut entry = InForce {
            what,
            level: value.to_string(),
            level_from: from(label, what),
            version_from: from(version_label, &format!("{what}-version")),
            note: None,
        };
        let wrong = errors
            .iter()
            .find(|error| error.label == label || error.label == version_label);
        if let Some(error) = wrong {
            entry.note = Some(format!(
                "the label {} cannot be read: {}",
                error.label,
                error.message()
            ));
        } else if what == "warn" && given.get(label).is_none() && value.level != of(&defaults).level
        {
            entry.note = Some("raised to what the enforce label asks for".into());
            entry.level_from = from(labels::ENFORCE, "enforce");
            if given.get(version_label).is_none() {
                entry.version_from = from(labels::ENFORCE_VERSION, "enforce-version");
            }
        }
        list.push(entry);
    }
    list.extend(settings.and_then(|(node, part)| minimum(node, &part, effective.enforce)));
    list
}

fn minimum(settings: &Node, part: &Part, enforced: LevelVersion) -> Option<InForce> {
    let minimum = settings.get("minimum")?;
    let floor = levels(minimum).enforce;
    let from = |field: &str| {
        let node = minimum.get(field)?;
        Some(part.at(node, &format!("settings.minimum.{field}")))
    };
    let above = enforced.level < floor.level;
    Some(InForce {
        what: "minimum",
        level: floor.to_string(),
        level_from: from("enforce").unwrap_or_else(Origin::built_in),
        version_from: from("enforce-version").unwrap_or_else(Origin::built_in),
        note: above.then(|| "stricter than what is enforced: pods must satisfy both".into()),
    })
}

/// Levels of settings that were validated before.
fn levels(node: &Node) -> Levels {
    read_levels(&Cursor::root(node), &mut Problems::default())
}
