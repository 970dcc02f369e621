//! Policies from files and presets.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::control::Mode;
use crate::document::source::{Object, Source, Unreadable, objects};
use crate::policy::parse::{self, control_policy};
use crate::policy::settings::{Problem, unknown};
use crate::policy::{API_VERSION, Policies, Policy, preset};
use crate::report::console::place;

use super::input;

/// Policies and where each of them stands.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policies.
    pub policies: Policies,
    /// The object each of them was read from, in the same order.
    pub objects: Vec<Object>,
}

/// One thing wrong with a policy file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyError {
    /// File, document and line.
    pub source: Source,
    /// Path of the field; empty when it is about the whole document.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: ", place(&self.source))?;
        if self.source.document > 0 || self.source.item.is_some() {
            write!(formatter, "document {}", self.source.document)?;
            if let Some(item) = self.source.item {
                write!(formatter, ", item {item}")?;
            }
            formatter.write_str(": ")?;
        }
        if !self.field.is_empty() {
            write!(formatter, "{}: ", self.field)?;
        }
        formatter.write_str(&self.message)
    }
}

impl From<Unreadable> for PolicyError {
    fn from(unreadable: Unreadable) -> Self {
        PolicyError {
            source: unreadable.source,
            field: String::new(),
            message: unreadable.error,
        }
    }
}

impl PolicyError {
    /// A problem of the object at `source`.
    pub fn new(source: &Source, problem: Problem) -> Self {
        let mut source = source.clone();
        if problem.line > 0 {
            source.line = problem.line;
        }
        PolicyError {
            source,
            field: problem.path.to_string(),
            message: problem.message,
        }
    }

    fn whole(source: &Source, message: String) -> Self {
        PolicyError {
            source: source.clone(),
            field: String::new(),
            message,
        }
    }
}

/// Reads the policies of `paths` and the presets of these names; `recommended` when there is
/// neither. No finding of theirs gets a mode above `cap`.
///
/// # Errors
/// Everything wrong with any of them: a policy set that is half understood is not used by halves.
pub fn load(
    paths: &[PathBuf],
    presets: &[String],
    cap: Mode,
    stdin: &mut dyn Read,
) -> Result<Loaded, Vec<PolicyError>> {
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        read_path(path, stdin, &mut found, &mut errors);
    }
    let default = [preset::DEFAULT.to_owned()];
    let presets = if paths.is_empty() && presets.is_empty() {
        &default
    } else {
        presets
    };
    for name in presets {
        read_preset(name, &mut found, &mut errors);
    }
    let mut policies = Vec::new();
    let mut known: Vec<&Source> = Vec::new();
    for object in &found {
        match read_policy(object) {
            Err(mut problems) => errors.append(&mut problems),
            Ok(policy) => {
                if let Some(first) = duplicate(&policy, &policies, &known) {
                    let message = format!(
                        "the name {:?} is taken by the policy in {}",
                        policy.name,
                        place(first)
                    );
                    errors.push(PolicyError {
                        field: "metadata.name".into(),
                        ..PolicyError::whole(&object.source, message)
                    });
                    continue;
                }
                known.push(&object.source);
                policies.push(policy);
            }
        }
    }
    if errors.is_empty() {
        Ok(Loaded {
            policies: Policies::new(policies, cap),
            objects: found,
        })
    } else {
        Err(errors)
    }
}

fn duplicate<'s>(policy: &Policy, policies: &[Policy], known: &[&'s Source]) -> Option<&'s Source> {
    let position = policies
        .iter()
        .position(|other| other.name == policy.name)?;
    known.get(position).copied()
}

fn read_path(
    path: &Path,
    stdin: &mut dyn Read,
    found: &mut Vec<Object>,
    errors: &mut Vec<PolicyError>,
) {
    let mut input = input::read(&[path.to_owned()], stdin);
    if input.objects.is_empty() && input.unreadable.is_empty() {
        let source = Source::file(&path.to_string_lossy());
        errors.push(PolicyError::whole(&source, "no policy in it".into()));
    }
    found.append(&mut input.objects);
    errors.extend(input.unreadable.into_iter().map(PolicyError::from));
}

fn read_preset(name: &str, found: &mut Vec<Object>, errors: &mut Vec<PolicyError>) {
    let source = format!("preset {name}");
    let Some(text) = preset::text(name) else {
        let known: Vec<&str> = preset::ALL.iter().map(|(name, _)| *name).collect();
        errors.push(PolicyError::whole(
            &Source::file("--preset"),
            unknown("preset", name, &known),
        ));
        return;
    };
    let (mut read, unreadable) = objects(&source, text.as_bytes().to_vec());
    found.append(&mut read);
    errors.extend(unreadable.into_iter().map(PolicyError::from));
}

/// Reads one object as a policy.
///
/// # Errors
/// Everything wrong with it.
pub fn read_policy(object: &Object) -> Result<Policy, Vec<PolicyError>> {
    const KINDS: [&str; 1] = ["ControlPolicy"];
    let whole = |message: String| Err(vec![PolicyError::whole(&object.source, message)]);
    let (api_version, kind) = parse::kind(&object.node).unwrap_or_default();
    let ours = api_version.split('/').next() == Some("tidegate.dev");
    match kind {
        "ControlPolicy" if ours => control_policy(&object.node).map_err(|problems| {
            let mut problems = problems.0;
            problems.sort_by_key(|problem| problem.line);
            problems
                .into_iter()
                .map(|problem| PolicyError::new(&object.source, problem))
                .collect()
        }),
        "ImageTrust" | "ControlException" if ours => whole(format!(
            "this version of tidegate does not know {kind} yet: leave it out"
        )),
        "PodSecurityConfiguration" | "AdmissionConfiguration" => whole(format!(
            "{kind} is no policy of tidegate: `tidegate policy lint FILE` turns it into a ControlPolicy"
        )),
        _ if ours => whole(unknown("kind", kind, &KINDS)),
        _ if KINDS.contains(&kind) => whole(format!(
            "apiVersion {api_version:?}: expected {API_VERSION}"
        )),
        _ => whole(format!(
            "{kind} of {api_version} is no policy; expected ControlPolicy of {API_VERSION}"
        )),
    }
}
