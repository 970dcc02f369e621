//! What the policies make of a namespace: the model `policy show` prints.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::document::source::Source;
use crate::report::console::{Style, place};
use crate::report::text;

use super::levels::InForce;
use super::origin::Origin;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespace: &'a str,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) policies: Vec<ShownPolicy>,
}

/// One policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownPolicy {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) applies: bool,
    /// Why it does not apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    /// The overrides that apply, in order.
    pub(super) overrides: Vec<usize>,
    pub(super) controls: Vec<ShownControl>,
}

/// A control in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownControl {
    pub(super) control: &'static str,
    pub(super) mode: &'static str,
    pub(super) mode_from: Origin,
    pub(super) checks: Vec<ShownCheck>,
    pub(super) settings: Vec<ShownSetting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) levels: Vec<InForce>,
}

/// A check with a mode of its own.
#[derive(Debug, Serialize)]
pub(super) struct ShownCheck {
    pub(super) check: &'static str,
    pub(super) mode: &'static str,
    pub(super) from: Origin,
}

/// A setting of a control.
#[derive(Debug, Serialize)]
pub(super) struct ShownSetting {
    pub(super) name: String,
    /// As compact JSON; for what nobody said the words of the catalogue.
    pub(super) value: String,
    pub(super) from: Origin,
}

impl Shown<'_> {
    /// For reading.
    pub(super) fn text(&self, style: Style) -> String {
        let mut out = format!("namespace {}\n", style.bold(self.namespace));
        for policy in &self.policies {
            policy.text(style, &mut out);
        }
        if self.policies.iter().filter(|policy| policy.applies).count() > 1 {
            out.push_str("\nEvery policy that applies is asked; of equal findings the strictest mode holds.\n");
        }
        out
    }
}

impl ShownPolicy {
    fn text(&self, style: Style, out: &mut String) {
        let name = text::visible(&self.name).into_owned();
        let _ = write!(
            out,
            "\npolicy {}  {}",
            style.bold(&name),
            style.dim(&place(&self.source))
        );
        if let Some(reason) = self.reason {
            let _ = writeln!(out, "\n  does not apply: {reason}");
            return;
        }
        let positions: Vec<String> = self.overrides.iter().map(usize::to_string).collect();
        if !positions.is_empty() {
            let _ = write!(out, "  with overrides {}", positions.join(", "));
        }
        out.push('\n');
        if self.controls.is_empty() {
            out.push_str("  no control is in force\n");
        }
        for control in &self.controls {
            control.text(style, out);
        }
    }
}

impl ShownControl {
    fn text(&self, style: Style, out: &mut String) {
        let mut row = |indent: &str, name: &str, value: &str, from: &Origin| {
            let width = 28 - indent.len();
            let value = text::visible(value);
            let from = if from.path.is_empty() {
                String::new()
            } else {
                format!("  {}", style.dim(&from.text()))
            };
            let _ = writeln!(out, "{indent}{name:<width$}  {value}{from}");
        };
        row("  ", self.control, self.mode, &self.mode_from);
        for check in &self.checks {
            row("    ", check.check, check.mode, &check.from);
        }
        for setting in &self.settings {
            row(
                "    ",
                &format!("settings.{}", setting.name),
                &setting.value,
                &setting.from,
            );
        }
        for level in &self.levels {
            row(
                "    ",
                &format!("level: {}", level.what),
                &level.level,
                &level.level_from,
            );
            if level.version_from.path != "built in" {
                row(
                    "      ",
                    "version",
                    level.level.split(':').nth(1).unwrap_or_default(),
                    &level.version_from,
                );
            }
            if let Some(note) = &level.note {
                row("      ", "note", note, &Origin::nowhere());
            }
        }
    }
}
