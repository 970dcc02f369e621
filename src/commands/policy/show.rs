//! `tidegate policy show`: what the policies make of a namespace, and where each part comes from.

use std::io;

use crate::cli::{Output, ShowArgs};
use crate::commands::{OK, UNREADABLE, input, output, policies_of};
use crate::control::Mode;
use crate::document::Node;
use crate::document::source::Object;
use crate::facts::declared::Declared;
use crate::facts::{Fact, Labels, Needs};
use crate::policy::selection::{Place, Selection};
use crate::policy::{API_VERSION, Applied, Policy};
use crate::report::text;

use super::effective::{Shown, ShownCheck, ShownControl, ShownPolicy, ShownSetting};
use super::levels::in_force;
use super::origin::{Origin, Part, parts};

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
        labels: namespace
            .labels()
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        policies: policies
            .map(|(policy, object)| show(policy, object, &namespace))
            .collect(),
    };
    output::print(&match args.output {
        Output::Text => shown.text(output::style()),
        Output::Json => text::json(&shown),
    })?;
    Ok(if cluster.unreadable.is_empty() {
        OK
    } else {
        UNREADABLE
    })
}

/// The namespace asked about.
struct Namespace<'a> {
    name: &'a str,
    labels: Fact<Labels>,
    from: Origin,
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
            output::say(&format!(
                "note: namespace {name:?} is in no file; taken as one without labels"
            ));
        }
        let text = |node: &Node, key| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let itself = |object: &&Object| {
            text(&object.node, "kind").as_deref() == Some("Namespace")
                && object
                    .node
                    .get("metadata")
                    .and_then(|metadata| text(metadata, "name"))
                    .as_deref()
                    == Some(name)
        };
        let source = cluster
            .iter()
            .rev()
            .find(itself)
            .map(|object| object.source.clone());
        let labels = declared.facts(needs, name).namespace;
        if let Fact::Unavailable(why) = &labels {
            output::say(&format!("error: {why}"));
        }
        Namespace {
            name,
            labels,
            from: source.map_or_else(Origin::built_in, |source| {
                Origin::new(&source, source.line, String::new())
            }),
        }
    }

    fn labels(&self) -> Labels {
        match &self.labels {
            Fact::Known(labels) => labels.clone(),
            Fact::NotAsked | Fact::Unavailable(_) => Labels::default(),
        }
    }
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
    policy.apply(&place, |applied| {
        controls.push(show_control(&applied, object, &overrides, namespace));
    });
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
    if selection
        .exclude
        .iter()
        .any(|pattern| pattern.matches(name))
    {
        "the namespace is excluded"
    } else if selection
        .include
        .iter()
        .any(|pattern| pattern.matches(name))
    {
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
    let find = |field: &str| {
        parts
            .iter()
            .find_map(|part| Some((part.control.get(field)?, *part)))
    };
    let spec_mode = object.node.get("spec").and_then(|spec| spec.get("mode"));
    let mode_from = match (find("mode"), spec_mode) {
        (Some((node, part)), _) => part.at(node, "mode"),
        (None, Some(node)) => Origin::new(&object.source, node.line, "spec.mode".into()),
        (None, None) => Origin::built_in(),
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
                from: Origin::built_in(),
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

/// The checks with a mode of their own.
fn checks(applied: &Applied<'_>, parts: &[Part<'_>]) -> Vec<ShownCheck> {
    let checks = applied
        .control
        .checks
        .iter()
        .chain(&crate::control::Check::EVERY_CONTROL);
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
