//! The catalogue of controls: for reading, as JSON, and as the page `docs/controls.md`.

use std::fmt::Write;

use serde::Serialize;

use crate::control::{Check, Control};
use crate::policy::API_VERSION;

use super::console::Style;
use super::text::json as to_json;

/// The controls for reading.
pub fn text(controls: &[&Control], style: Style) -> String {
    let mut out = String::new();
    for (position, control) in controls.iter().enumerate() {
        if position > 0 {
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "{}  {} ({})",
            style.bold(control.id),
            control.title,
            control.area.as_str()
        );
        let _ = writeln!(out, "\n  {}", wrapped(control.description, "  "));
        let _ = writeln!(out, "\n  {}", style.bold("Checks"));
        for check in control.checks {
            let _ = writeln!(out, "    {}", style.bold(check.id));
            let _ = writeln!(out, "      {}", wrapped(check.summary, "      "));
            let _ = writeln!(out, "      fix: {}", wrapped(check.fix, "      "));
            if !check.fields.is_empty() {
                let _ = writeln!(
                    out,
                    "      {}",
                    style.dim(&wrapped(&check.fields.join(", "), "      "))
                );
            }
        }
        let _ = writeln!(out, "\n  {}", style.bold("Settings"));
        if control.settings.is_empty() {
            out.push_str("    none\n");
        }
        for setting in control.settings {
            let _ = writeln!(
                out,
                "    {}",
                style.bold(&format!("settings.{}", setting.name))
            );
            let _ = writeln!(out, "      {}", wrapped(setting.doc, "      "));
            let _ = writeln!(out, "      values: {}", wrapped(setting.values, "      "));
            let _ = writeln!(out, "      default: {}", wrapped(setting.default, "      "));
        }
        let _ = writeln!(out, "\n  {}", style.bold("Serves"));
        for row in control.responsibilities.iter().chain(control.frameworks) {
            let _ = writeln!(out, "    {row}");
        }
        let _ = writeln!(out, "\n  {}", style.bold("Examples"));
        for example in control.examples {
            let _ = writeln!(out, "    {}: {}", example.name, outcome(example.fails));
            for line in example.manifest.lines() {
                let _ = writeln!(out, "      {}", style.dim(line));
            }
        }
    }
    out
}

/// One line a control.
pub fn overview(controls: &[&Control], style: Style) -> String {
    let mut out = String::new();
    for control in controls {
        let checks = super::text::count(control.checks.len(), "check", "checks");
        let _ = writeln!(
            out,
            "{}  {} ({}, {checks})",
            style.bold(&format!("{:<20}", control.id)),
            control.title,
            control.area.as_str()
        );
    }
    let _ = writeln!(out, "\n`tidegate controls ID` tells everything about one.");
    out
}

/// The controls as JSON: fields are added to it in later versions, never renamed.
pub fn json(controls: &[&Control]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Catalogue<'c> {
        api_version: &'static str,
        kind: &'static str,
        controls: Vec<Entry<'c>>,
    }
    #[derive(Serialize)]
    struct Entry<'c> {
        id: &'c str,
        title: &'c str,
        area: &'c str,
        description: &'c str,
        checks: Vec<CheckEntry<'c>>,
        settings: Vec<SettingEntry<'c>>,
        responsibilities: &'c [&'c str],
        frameworks: &'c [&'c str],
        examples: Vec<ExampleEntry<'c>>,
    }
    #[derive(Serialize)]
    struct CheckEntry<'c> {
        id: &'c str,
        summary: &'c str,
        fix: &'c str,
        fields: &'c [&'c str],
    }
    #[derive(Serialize)]
    struct SettingEntry<'c> {
        name: &'c str,
        values: &'c str,
        default: &'c str,
        description: &'c str,
    }
    #[derive(Serialize)]
    struct ExampleEntry<'c> {
        name: &'c str,
        fails: Option<&'c str>,
        manifest: &'c str,
    }
    let check = |check: &&'static Check| CheckEntry {
        id: check.id,
        summary: check.summary,
        fix: check.fix,
        fields: check.fields,
    };
    let entries = controls.iter().map(|control| Entry {
        id: control.id,
        title: control.title,
        area: control.area.as_str(),
        description: control.description,
        checks: control.checks.iter().map(check).collect(),
        settings: control
            .settings
            .iter()
            .map(|setting| SettingEntry {
                name: setting.name,
                values: setting.values,
                default: setting.default,
                description: setting.doc,
            })
            .collect(),
        responsibilities: control.responsibilities,
        frameworks: control.frameworks,
        examples: control
            .examples
            .iter()
            .map(|example| ExampleEntry {
                name: example.name,
                fails: example.fails,
                manifest: example.manifest,
            })
            .collect(),
    });
    to_json(&Catalogue {
        api_version: API_VERSION,
        kind: "ControlCatalogue",
        controls: entries.collect(),
    })
}

/// The controls as a page of documentation.
pub fn markdown(controls: &[&Control]) -> String {
    let mut out = String::from(
        "# Controls\n\n<!-- Written by `make docs` from the catalogue in src/controls; do not edit. -->\n\n\
         | control | area | checks |\n|---|---|---|\n",
    );
    for control in controls {
        let _ = writeln!(
            out,
            "| [{id}](#{id}) {title} | {area} | {checks} |",
            id = control.id,
            title = cell(control.title),
            area = control.area.as_str(),
            checks = control.checks.len()
        );
    }
    for control in controls {
        section(control, &mut out);
    }
    let _ = writeln!(
        out,
        "\n## Checks of every control\n\nNothing unknown is allowed by accident.\n"
    );
    checks(&Check::EVERY_CONTROL, &mut out);
    out
}

fn section(control: &Control, out: &mut String) {
    let _ = writeln!(
        out,
        "\n## {}\n\n{}\n\n### Checks\n",
        control.id, control.description
    );
    checks(control.checks, out);
    out.push_str("\n### Settings\n\n");
    if control.settings.is_empty() {
        out.push_str("None.\n");
    } else {
        out.push_str("| setting | values | default | meaning |\n|---|---|---|---|\n");
    }
    for setting in control.settings {
        let cells = [setting.values, setting.default, setting.doc].map(cell);
        let _ = writeln!(out, "| `{}` | {} |", setting.name, cells.join(" | "));
    }
    out.push_str("\n### Serves\n\n");
    for row in control.responsibilities {
        let _ = writeln!(out, "- Shared responsibility: {row}");
    }
    for framework in control.frameworks {
        let _ = writeln!(out, "- {framework}");
    }
    out.push_str("\n### Examples\n");
    for example in control.examples {
        let manifest = example.manifest.trim_end();
        let _ = writeln!(
            out,
            "\n`{}` {}:\n\n```yaml\n{manifest}\n```",
            example.name,
            outcome(example.fails)
        );
    }
}

fn checks(checks: &[&Check], out: &mut String) {
    out.push_str("| check | demands | fix | fields |\n|---|---|---|---|\n");
    for check in checks {
        let fields: Vec<String> = check
            .fields
            .iter()
            .map(|field| format!("`{}`", cell(field)))
            .collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            check.id,
            cell(check.summary),
            cell(check.fix),
            fields.join("<br>")
        );
    }
}

fn outcome(fails: Option<&str>) -> String {
    fails.map_or("passes".into(), |check| format!("fails {check}"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// `text` in lines of at most 100 characters, each after the first behind `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut width = indent.len();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if out.is_empty() {
            width += length;
        } else if width + 1 + length > 100 {
            out.push('\n');
            out.push_str(indent);
            width = indent.len() + length;
        } else {
            out.push(' ');
            width += 1 + length;
        }
        out.push_str(word);
    }
    out
}
