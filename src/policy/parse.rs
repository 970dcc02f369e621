//! `ControlPolicy` to [`Policy`].

use std::sync::Arc;

use crate::control::{Control, Mode};
use crate::controls;
use crate::document::{Node, Value};

use super::break_glass;
use super::exception::{ExceptionRules, LONGEST_DAYS, read_target};
use super::meta::Meta;
use super::selection::{Operator, Pattern, Requirement, Selection, Selector};
use super::settings::{Cursor, Problems, unknown};
use super::{Configured, Override, Policy, Setup};

/// The modes by their names.
const MODES: [(&str, Mode); 4] = [
    ("off", Mode::Off),
    ("audit", Mode::Audit),
    ("warn", Mode::Warn),
    ("enforce", Mode::Enforce),
];

/// The kind of a document, as far as it tells one.
pub fn kind(node: &Node) -> Option<(&str, &str)> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let text = |name: &str| {
        entries.iter().find_map(|(key, node)| match &node.value {
            Value::String(text) if key == name => Some(text.as_str()),
            _ => None,
        })
    };
    Some((text("apiVersion")?, text("kind")?))
}

/// Reads one `ControlPolicy`. With any problem there is no policy: a policy that is half understood
/// is not enforced by halves.
pub fn control_policy(node: &Node) -> Result<Policy, Problems> {
    let mut problems = Problems::default();
    let policy = read(&Cursor::root(node), &mut problems);
    match policy {
        Some(policy) if problems.0.is_empty() => Ok(policy),
        _ => Err(problems),
    }
}

fn read(root: &Cursor<'_>, problems: &mut Problems) -> Option<Policy> {
    let meta = Meta::read(root, "ControlPolicy", problems);
    let fields = root.fields(&Meta::FIELDS, problems);
    let Some(spec) = fields.get("spec") else {
        problems.add(root, "a ControlPolicy needs a spec");
        return None;
    };
    let fields = spec.fields(
        &[
            "mode",
            "namespaces",
            "controls",
            "overrides",
            "exceptions",
            "breakGlass",
        ],
        problems,
    );
    let mode = fields
        .get("mode")
        .and_then(|mode| mode.choice(&MODES, problems))
        .unwrap_or_default();
    let mut overrides = Vec::new();
    for part in fields
        .get("overrides")
        .map(|parts| parts.elements(problems))
        .unwrap_or_default()
    {
        overrides.push(read_override(&part, problems));
    }
    let mut controls = read_controls(fields.get("controls"), true, problems);
    for setup in &mut controls {
        setup.mode.get_or_insert(mode);
    }
    let exceptions = read_exception_rules(fields.get("exceptions"), problems);
    let break_glass = break_glass::read_rules(fields.get("breakGlass"), problems);
    let meta = meta?;
    Some(Policy {
        name: Arc::from(meta.name),
        mode,
        namespaces: read_selection(fields.get("namespaces"), problems),
        fallbacks: fallbacks(&controls, &overrides, mode),
        controls,
        overrides,
        exceptions,
        opened: break_glass::read_opened(&meta, break_glass.as_ref(), problems),
        break_glass,
    })
}

fn read_exception_rules(rules: Option<&Cursor<'_>>, problems: &mut Problems) -> ExceptionRules {
    let mut read = ExceptionRules::default();
    let Some(rules) = rules else {
        return read;
    };
    let fields = rules.fields(
        &["maxDays", "approverGroups", "never", "allControls"],
        problems,
    );
    if let Some(days) = fields.get("maxDays") {
        let days = days.number_within(1, LONGEST_DAYS, problems);
        read.max_days = days.unwrap_or(read.max_days);
    }
    if let Some(groups) = fields.get("approverGroups") {
        read.approver_groups = read_groups(groups, problems);
    }
    for element in fields
        .get("never")
        .map(|never| never.elements(problems))
        .unwrap_or_default()
    {
        if let Some(text) = element.text(problems) {
            read.never.extend(read_target(&element, text, problems));
        }
    }
    read.all_controls = fields
        .get("allControls")
        .and_then(|all| all.truth(problems))
        .unwrap_or_default();
    read
}

/// Names of groups. None at all would mean nobody where somebody was meant.
pub(super) fn read_groups(groups: &Cursor<'_>, problems: &mut Problems) -> Vec<String> {
    let names = groups.texts(problems);
    if names.is_empty() {
        problems.add(groups, "name at least one group, or leave the field out");
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Mode and rule of the controls that only overrides name, for where no override gives them.
fn fallbacks(controls: &[Setup], overrides: &[Override], mode: Mode) -> Vec<Setup> {
    let mut fallbacks: Vec<Setup> = Vec::new();
    for setup in overrides.iter().flat_map(|part| &part.controls) {
        let known = |other: &Setup| other.control.id == setup.control.id;
        if !controls.iter().any(known) && !fallbacks.iter().any(known) {
            fallbacks.push(Setup {
                control: setup.control,
                mode: Some(mode),
                rule: configured(setup.control, None, &mut Problems::default()),
                checks: Vec::new(),
            });
        }
    }
    fallbacks
}

fn read_override(part: &Cursor<'_>, problems: &mut Problems) -> Override {
    let fields = part.fields(&["namespaces", "controls"], problems);
    if fields.get("namespaces").is_none() {
        problems.add(
            part,
            "an override needs namespaces: without them it would override everything",
        );
    }
    Override {
        namespaces: read_selection(fields.get("namespaces"), problems),
        controls: read_controls(fields.get("controls"), false, problems),
    }
}

fn read_controls(controls: Option<&Cursor<'_>>, main: bool, problems: &mut Problems) -> Vec<Setup> {
    let mut setups: Vec<Setup> = Vec::new();
    for (id, cursor) in controls
        .map(|controls| controls.entries(problems))
        .unwrap_or_default()
    {
        if let Some(control) = controls::find(id) {
            setups.push(read_control(control, &cursor, main, problems));
        } else {
            let known: Vec<&str> = controls::ALL.iter().map(|control| control.id).collect();
            problems.add(&cursor, unknown("control", id, &known));
        }
    }
    setups.sort_by_key(|setup| controls::position(setup.control.id));
    setups
}

fn read_control(
    control: &'static Control,
    cursor: &Cursor<'_>,
    main: bool,
    problems: &mut Problems,
) -> Setup {
    let fields = cursor.fields(&["mode", "settings", "checks"], problems);
    let settings = fields.get("settings");
    let rule = if main || settings.is_some() {
        configured(control, settings, problems)
    } else {
        None
    };
    let mut checks = Vec::new();
    for (id, entry) in fields
        .get("checks")
        .map(|checks| checks.entries(problems))
        .unwrap_or_default()
    {
        let Some(check) = control.check(id) else {
            let known: Vec<&str> = control.checks.iter().map(|check| check.id).collect();
            problems.add(&entry, unknown("check", id, &known));
            continue;
        };
        let fields = entry.fields(&["mode"], problems);
        match fields.get("mode") {
            Some(mode) => checks.extend(mode.choice(&MODES, problems).map(|mode| (check.id, mode))),
            None => problems.add(&entry, "a check needs a mode here"),
        }
    }
    Setup {
        control,
        mode: fields
            .get("mode")
            .and_then(|mode| mode.choice(&MODES, problems)),
        rule,
        checks,
    }
}

fn configured(
    control: &Control,
    settings: Option<&Cursor<'_>>,
    problems: &mut Problems,
) -> Option<Configured> {
    let text = settings.map(|settings| settings.node.to_json());
    let rule = (control.configure)(settings.cloned(), problems)?;
    Some(Configured::new(rule, &text.unwrap_or_default()))
}

fn read_selection(selection: Option<&Cursor<'_>>, problems: &mut Problems) -> Selection {
    let Some(selection) = selection else {
        return Selection::default();
    };
    let fields = selection.fields(&["include", "exclude", "selector"], problems);
    let globs = |name: &str, problems: &mut Problems| {
        let list = fields.get(name)?;
        if name == "include" && list.elements(problems).is_empty() {
            problems.add(
                list,
                "an empty include would mean no namespace; leave it out to mean all",
            );
        }
        Some(list.globs(problems))
    };
    Selection {
        include: globs("include", problems).unwrap_or_else(|| vec![Pattern::Any]),
        exclude: globs("exclude", problems).unwrap_or_default(),
        selector: fields
            .get("selector")
            .map(|selector| read_selector(selector, problems)),
    }
}

pub(super) fn read_selector(selector: &Cursor<'_>, problems: &mut Problems) -> Selector {
    let fields = selector.fields(&["matchLabels", "matchExpressions"], problems);
    let mut requirements = Vec::new();
    for (key, value) in fields
        .get("matchLabels")
        .map(|labels| labels.entries(problems))
        .unwrap_or_default()
    {
        if let Some(value) = value.text(problems) {
            requirements.push(Requirement {
                key: key.to_owned(),
                operator: Operator::In(vec![value.to_owned()]),
            });
        }
    }
    for expression in fields
        .get("matchExpressions")
        .map(|list| list.elements(problems))
        .unwrap_or_default()
    {
        requirements.extend(read_expression(&expression, problems));
    }
    Selector(requirements)
}

fn read_expression(expression: &Cursor<'_>, problems: &mut Problems) -> Option<Requirement> {
    #[derive(Clone, Copy, PartialEq)]
    enum Name {
        In,
        NotIn,
        Exists,
        DoesNotExist,
    }
    let fields = expression.fields(&["key", "operator", "values"], problems);
    let (Some(key), Some(operator)) = (fields.get("key"), fields.get("operator")) else {
        problems.add(expression, "an expression needs a key and an operator");
        return None;
    };
    let names = [
        ("In", Name::In),
        ("NotIn", Name::NotIn),
        ("Exists", Name::Exists),
        ("DoesNotExist", Name::DoesNotExist),
    ];
    let name = operator.choice(&names, problems)?;
    let values = fields
        .get("values")
        .map(|values| values.texts(problems))
        .unwrap_or_default();
    let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
    if values.is_empty() == matches!(name, Name::In | Name::NotIn) {
        let demand = if values.is_empty() {
            "needs values"
        } else {
            "takes no values"
        };
        problems.add(expression, format!("this operator {demand}"));
    }
    Some(Requirement {
        key: key.text(problems)?.to_owned(),
        operator: match name {
            Name::In => Operator::In(values),
            Name::NotIn => Operator::NotIn(values),
            Name::Exists => Operator::Exists,
            Name::DoesNotExist => Operator::DoesNotExist,
        },
    })
}
