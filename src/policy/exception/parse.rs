//! `ControlException` to [`Exception`].

use std::sync::Arc;

use crate::controls;
use crate::policy::meta::Meta;
use crate::policy::parse::read_selector;
use crate::policy::selection::{Pattern, Selector};
use crate::policy::settings::{Cursor, Fields, Problems, unknown};

use super::{Approval, Exception, Target, Targets};
use crate::document::Node;

/// Reads one `ControlException`.
///
/// # Errors
/// Everything wrong with it; then there is no exception.
pub fn control_exception(node: &Node) -> Result<Exception, Problems> {
    let mut problems = Problems::default();
    let exception = read(&Cursor::root(node), &mut problems);
    match exception {
        Some(exception) if problems.0.is_empty() => Ok(exception),
        _ => Err(problems),
    }
}

fn read(root: &Cursor<'_>, problems: &mut Problems) -> Option<Exception> {
    let meta = Meta::read(root, "ControlException", problems);
    let fields = root.fields(&Meta::FIELDS, problems);
    let Some(spec) = fields.get("spec") else {
        problems.add(root, "a ControlException needs a spec");
        return None;
    };
    let approval = fields
        .get("status")
        .and_then(|status| read_approval(status, problems));
    let fields = spec.fields(
        &[
            "controls",
            "match",
            "reason",
            "owner",
            "ticket",
            "requestedBy",
            "expires",
        ],
        problems,
    );
    let mut demand = |name: &str| demanded(spec, &fields, name, problems);
    let (reason, owner, requested_by) = (demand("reason"), demand("owner"), demand("requestedBy"));
    if fields.get("expires").is_none() {
        problems.add(spec, "an exception needs expires: it ends by itself");
    }
    let expires = fields
        .get("expires")
        .and_then(|expires| expires.date(problems));
    let targets = read_targets(spec, fields.get("controls"), problems);
    let matched = read_match(spec, fields.get("match"), problems);
    let meta = meta?;
    let (kinds, names, selector) = matched?;
    Some(Exception {
        id: format!("{}/{}", meta.namespace, meta.name).into(),
        namespace: Arc::from(meta.namespace),
        targets: targets?,
        kinds,
        names,
        selector,
        reason: reason?,
        owner: owner?,
        ticket: fields
            .get("ticket")
            .and_then(|ticket| ticket.text(problems))
            .map(str::to_owned),
        requested_by: requested_by?,
        expires: expires?,
        approval,
        generation: meta.generation,
    })
}

fn demanded(
    spec: &Cursor<'_>,
    fields: &Fields<'_>,
    name: &str,
    problems: &mut Problems,
) -> Option<String> {
    let text = fields.get(name).and_then(|field| field.text(problems));
    match text {
        Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
        _ => {
            problems.add(spec, format!("an exception needs {name}"));
            None
        }
    }
}

fn read_targets(
    spec: &Cursor<'_>,
    list: Option<&Cursor<'_>>,
    problems: &mut Problems,
) -> Option<Targets> {
    let elements = list.map(|list| list.elements(problems)).unwrap_or_default();
    if elements.is_empty() {
        problems.add(spec, "an exception needs controls: what it lowers");
        return None;
    }
    let mut named = Vec::new();
    for element in &elements {
        match element.text(problems)? {
            "*" if elements.len() == 1 => return Some(Targets::All),
            "*" => problems.add(element, "\"*\" means every control and stands alone"),
            text => named.extend(read_target(element, text, problems)),
        }
    }
    Some(Targets::Named(named))
}

/// A control, or `control/check`.
pub(in crate::policy) fn read_target(
    element: &Cursor<'_>,
    text: &str,
    problems: &mut Problems,
) -> Option<Target> {
    let found = Target::find(text, controls::ALL);
    if found.is_none() {
        let id = text.split('/').next().unwrap_or_default();
        let message = if let Some(control) = controls::find(id) {
            let check = text.get(id.len() + 1..).unwrap_or_default();
            let known: Vec<&str> = control.checks.iter().map(|check| check.id).collect();
            unknown("check", check, &known)
        } else {
            let known: Vec<&str> = controls::ALL.iter().map(|control| control.id).collect();
            unknown("control", id, &known)
        };
        problems.add(element, message);
    }
    found
}

fn read_match(
    spec: &Cursor<'_>,
    matched: Option<&Cursor<'_>>,
    problems: &mut Problems,
) -> Option<(Vec<String>, Vec<Pattern>, Selector)> {
    let Some(matched) = matched else {
        problems.add(spec, "an exception needs match: which objects it is for");
        return None;
    };
    let fields = matched.fields(&["kinds", "names", "selector"], problems);
    let kinds: Vec<String> = fields
        .get("kinds")
        .map(|kinds| kinds.texts(problems))
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let names = match fields.get("names") {
        Some(names) => names.globs(problems),
        None => vec![Pattern::Any],
    };
    let selector = match fields.get("selector") {
        Some(selector) => read_selector(selector, problems),
        None => Selector::default(),
    };
    let any_name = fields
        .get("names")
        .is_some_and(|names| !names.elements(&mut Problems::default()).is_empty());
    if kinds.is_empty() && !any_name && selector.0.is_empty() {
        problems.add(
            matched,
            "match needs kinds, names or a selector: an exception is not for a whole namespace",
        );
    }
    Some((kinds, names, selector))
}

fn read_approval(status: &Cursor<'_>, problems: &mut Problems) -> Option<Approval> {
    // The rest of the status is tidegate's own and newer versions may know more of it.
    let entries = status.entries(problems);
    let (_, approval) = entries
        .into_iter()
        .find(|(name, approval)| *name == "approval" && !approval.is_null())?;
    let fields = approval.fields(&["approvedBy", "approvedAt", "generation"], problems);
    let (Some(by), Some(at)) = (fields.get("approvedBy"), fields.get("approvedAt")) else {
        problems.add(&approval, "an approval needs approvedBy and approvedAt");
        return None;
    };
    Some(Approval {
        by: by.text(problems)?.to_owned(),
        at: at.date(problems)?,
        generation: fields
            .get("generation")
            .and_then(|generation| generation.whole_number(problems)),
    })
}
