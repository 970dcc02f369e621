//! `tidegate policy show`: what the policies make of a namespace, and where each part comes from.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use crate::cli::{Output, ShowArgs};
use crate::commands::{OK, UNREADABLE, input, output, policies_of};
use crate::control::Mode;
use crate::document::Node;
use crate::document::source::{Object, Source};
use crate::facts::declared::Declared;
use crate::facts::{Fact, Labels, Needs};
use crate::policy::selection::{Place, Selection};
use crate::policy::{API_VERSION, Applied, Policy};
use crate::report::console::{Style, place};
use crate::report::text;

use super::levels::{InForce, in_force};

/// Runs the command.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &ShowArgs) -> Result<u8, String> {
    let mut stdin = io::stdin().lock();
    let Some(loaded) = policies_of(&args.policies, Mode::Enforce, &mut stdin) else {
        return Ok(UNREADABLE);
    };
    let cluster = input::read(&args.cluster.cluster, &mut stdin);
    cluster.unreadable.iter().for_each(output::say_unreadable);
    let namespace = Namespace::new(&args.namespace, &cluster.objects);
    let policies = loaded.policies.list.iter().zip(&loaded.objects);
    let shown = Shown {
        api_version: API_VERSION,
        kind: "EffectivePolicy",
        namespace: &args.namespace,
        labels: namespace.labels().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        policies: policies.map(|(policy, object)| show(policy, object, &namespace)).collect(),
    };
    output::print(&match args.output {
        Output::Text => shown.text(output::style()),
        Output::Json => text::json(&shown),
    })?;
    Ok(if cluster.unreadable.is_empty() { OK } else { UNREADABLE })
}

/// The namespace asked about.
struct Namespace<'a> {
    name: &'a str,
    labels: Fact<Labels>,
    from: From,
}

impl<'a> Namespace<'a> {
    fn new(name: &'a str, cluster: &[Object]) -> Self {
        let mut declared = Declared::default();
        for object in cluster {
            declared.add(&object.node, "default");
        }
        let needs = Needs {
            namespace: true,
            existing_pods: false,
        };
        if !declared.declares(name) {
            output::say(&format!("note: namespace {name:?} is in no file; taken as one without labels"));
        }
        let text = |node: &Node, key| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let itself = |object: &&Object| {
            text(&object.node, "kind").as_deref() == Some("Namespace")
                && object.node.get("metadata").and_then(|metadata| text(metadata, "name")).as_deref() == Some(name)
        };
        let source = cluster.iter().rev().find(itself).map(|object| object.source.clone());
        let labels = declared.facts(needs, name).namespace;
        if let Fact::Unavailable(why) = &labels {
            output::say(&format!("error: {why}"));
        }
        Namespace {
            name,
            labels,
            from: source.map_or_else(From::built_in, |source| From::new(&source, source.line, String::new())),
        }
    }

    fn labels(&self) -> Labels {
        match &self.labels {
            Fact::Known(labels) => labels.clone(),
            Fact::NotAsked | Fact::Unavailable(_) => Labels::default(),
        }
    }
}

/// Where a part of a policy was said.
#[derive(Clone, Debug, Serialize)]
pub(super) struct From {
    /// The file or preset; `built in` for what nobody said.
    pub(super) path: String,
    /// The line; 0 where there is none.
    pub(super) line: u32,
    /// The field's path.
    pub(super) field: String,
}

impl From {
    pub(super) fn built_in() -> From {
        From {
            path: "built in".into(),
            line: 0,
            field: String::new(),
        }
    }

    /// For a remark, which comes from no field.
    fn nowhere() -> From {
        From {
            path: String::new(),
            ..From::built_in()
        }
    }

    fn new(source: &Source, line: u32, field: String) -> From {
        From {
            path: source.path.clone(),
            line,
            field,
        }
    }

    fn text(&self) -> String {
        let place = place(&Source {
            line: self.line,
            ..Source::file(&self.path)
        });
        if self.field.is_empty() { place } else { format!("{place} {}", text::visible(&self.field)) }
    }
}

/// A part of a policy that names a control: the main part or an override.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'o> {
    object: &'o Object,
    /// Which override; none for the main part.
    position: Option<usize>,
    /// What it says of the control.
    control: &'o Node,
    id: &'static str,
}

impl Part<'_> {
    /// Where `field` of the control, whose value is `node`, was said.
    pub(super) fn at(&self, node: &Node, field: &str) -> From {
        let part = self.position.map(|position| format!("overrides[{position}].")).unwrap_or_default();
        From::new(&self.object.source, node.line, format!("spec.{part}controls.{}.{field}", self.id))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    api_version: &'static str,
    kind: &'static str,
    namespace: &'a str,
    labels: std::collections::BTreeMap<String, String>,
    policies: Vec<ShownPolicy>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPolicy {
    name: String,
    source: Source,
    applies: bool,
    /// Why it does not apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The overrides that apply, in order.
    overrides: Vec<usize>,
    controls: Vec<ShownControl>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownControl {
    control: &'static str,
    mode: &'static str,
    mode_from: From,
    checks: Vec<ShownCheck>,
    settings: Vec<ShownSetting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    levels: Vec<InForce>,
}

#[derive(Debug, Serialize)]
struct ShownCheck {
    check: &'static str,
    mode: &'static str,
    from: From,
}

#[derive(Debug, Serialize)]
struct ShownSetting {
    name: String,
    /// As compact JSON; for what nobody said the words of the catalogue.
    value: String,
    from: From,
}

fn show(policy: &Policy, object: &Object, namespace: &Namespace<'_>) -> ShownPolicy {
    let place = Place::In(namespace.name, &namespace.labels);
    let applies = policy.namespaces.matches(&place);
    let overrides: Vec<usize> = policy
        .overrides
        .iter()
        .enumerate()
        .filter(|(_, part)| applies && part.namespaces.matches(&place))
        .map(|(position, _)| position)
        .collect();
    let mut controls = Vec::new();
    policy.apply(&place, |applied| controls.push(show_control(&applied, object, &overrides, namespace)));
    ShownPolicy {
        name: policy.name.to_string(),
        source: object.source.clone(),
        applies,
        reason: (!applies).then(|| why_not(&policy.namespaces, namespace.name)),
        overrides,
        controls,
    }
}

fn why_not(selection: &Selection, name: &str) -> &'static str {
    if selection.exclude.iter().any(|pattern| pattern.matches(name)) {
        "the namespace is excluded"
    } else if selection.include.iter().any(|pattern| pattern.matches(name)) {
        "the namespace's labels do not match the selector"
    } else {
        "the namespace is not included"
    }
}

fn show_control(
    applied: &Applied<'_>,
    object: &Object,
    overrides: &[usize],
    namespace: &Namespace<'_>,
) -> ShownControl {
    let parts = parts(object, overrides, applied.control.id);
    let find = |field: &str| parts.iter().find_map(|part| Some((part.control.get(field)?, *part)));
    let spec_mode = object.node.get("spec").and_then(|spec| spec.get("mode"));
    let mode_from = match (find("mode"), spec_mode) {
        (Some((node, part)), _) => part.at(node, "mode"),
        (None, Some(node)) => From::new(&object.source, node.line, "spec.mode".into()),
        (None, None) => From::built_in(),
    };
    let settings = find("settings");
    let known = applied.control.settings.iter().map(|setting| {
        let given = settings.and_then(|(node, part)| Some((node.get(setting.name)?, part)));
        match given {
            Some((node, part)) => ShownSetting {
                name: setting.name.into(),
                value: node.to_json(),
                from: part.at(node, &format!("settings.{}", setting.name)),
            },
            None => ShownSetting {
                name: setting.name.into(),
                value: setting.default.into(),
                from: From::built_in(),
            },
        }
    });
    let own_levels = applied.control.id == "pod-security";
    ShownControl {
        control: applied.control.id,
        mode: applied.mode.as_str(),
        mode_from,
        checks: checks(applied, &parts),
        settings: known.collect(),
        levels: if own_levels {
            in_force(settings, &namespace.labels(), &namespace.from)
        } else {
            Vec::new()
        },
    }
}

/// The parts of a policy that name a control, the last first, as the engine asks them.
fn parts<'o>(object: &'o Object, overrides: &[usize], id: &'static str) -> Vec<Part<'o>> {
    let Some(spec) = object.node.get("spec") else {
        return Vec::new();
    };
    let listed = spec.get("overrides").map(Node::elements).unwrap_or_default();
    let control = |node: &'o Node| node.get("controls").and_then(|controls| controls.get(id));
    let overriding = overrides.iter().rev().filter_map(|position| {
        let control = control(listed.get(*position)?)?;
        Some(Part { object, position: Some(*position), control, id })
    });
    let main = control(spec).map(|control| Part { object, position: None, control, id });
    overriding.chain(main).collect()
}

/// The checks with a mode of their own.
fn checks(applied: &Applied<'_>, parts: &[Part<'_>]) -> Vec<ShownCheck> {
    let checks = applied.control.checks.iter().chain(&crate::control::Check::EVERY_CONTROL);
    let own = checks.filter_map(|check| {
        let (node, part) = parts.iter().find_map(|part| {
            let mode = part.control.get("checks")?.get(check.id)?.get("mode")?;
            Some((mode, part))
        })?;
        Some(ShownCheck {
            check: check.id,
            mode: applied.mode_of(check.id).as_str(),
            from: part.at(node, &format!("checks.{}.mode", check.id)),
        })
    });
    own.collect()
}

impl Shown<'_> {
    fn text(&self, style: Style) -> String {
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
        let _ = write!(out, "\npolicy {}  {}", style.bold(&name), style.dim(&place(&self.source)));
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
        let mut row = |indent: &str, name: &str, value: &str, from: &From| {
            let width = 28 - indent.len();
            let value = text::visible(value);
            let from = if from.path.is_empty() { String::new() } else { format!("  {}", style.dim(&from.text())) };
            let _ = writeln!(out, "{indent}{name:<width$}  {value}{from}");
        };
        row("  ", self.control, self.mode, &self.mode_from);
        for check in &self.checks {
            row("    ", check.check, check.mode, &check.from);
        }
        for setting in &self.settings {
            row("    ", &format!("settings.{}", setting.name), &setting.value, &setting.from);
        }
        for level in &self.levels {
            row("    ", &format!("level: {}", level.what), &level.level, &level.level_from);
            if level.version_from.path != "built in" {
                row("      ", "version", level.level.split(':').nth(1).unwrap_or_default(), &level.version_from);
            }
            if let Some(note) = &level.note {
                row("      ", "note", note, &From::nowhere());
            }
        }
    }
}
