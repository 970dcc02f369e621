//! Policies from files and presets.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::control::Mode;
use crate::document::source::{Object, Source, Unreadable, objects};
use crate::policy::exception::{Exception, Exceptions, control_exception};
use crate::policy::parse::{self, control_policy};
use crate::policy::settings::{Problem, Problems, unknown};
use crate::policy::{API_VERSION, Policies, Policy, preset};
use crate::report::console::place;

use super::input;

/// Policies and where each of them stands.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policies.
    pub policies: Policies,
    /// The object each policy was read from, in the same order.
    pub objects: Vec<Object>,
}

/// What a policy file holds.
#[derive(Clone, Debug)]
pub enum Written {
    /// A `ControlPolicy`.
    Policy(Policy),
    /// A `ControlException`.
    Exception(Exception),
}

impl Written {
    /// Kind and name, under which no two may be in force.
    pub fn title(&self) -> String {
        match self {
            Written::Policy(policy) => format!("ControlPolicy {:?}", policy.name),
            Written::Exception(exception) => format!("ControlException {:?}", exception.id),
        }
    }
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

    /// Two objects of one kind and name.
    pub fn taken(source: &Source, written: &Written, first: &Source) -> Self {
        PolicyError {
            field: "metadata.name".into(),
            ..PolicyError::whole(
                source,
                match written {
                    Written::Policy(policy) => format!(
                        "the name {:?} is taken by the policy in {}",
                        policy.name,
                        place(first)
                    ),
                    Written::Exception(exception) => format!(
                        "the name {:?} is taken by the exception in {}",
                        exception.id,
                        place(first)
                    ),
                },
            )
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
    for name in presets.iter().filter(|name| *name != preset::NONE) {
        read_preset(name, &mut found, &mut errors);
    }
    let mut policies = Vec::new();
    let mut objects = Vec::new();
    let mut exceptions = Vec::new();
    let mut known: HashMap<String, Source> = HashMap::new();
    for object in found {
        let written = match read_policy(&object) {
            Err(mut problems) => {
                errors.append(&mut problems);
                continue;
            }
            Ok(written) => written,
        };
        if let Some(first) = known.get(&written.title()) {
            errors.push(PolicyError::taken(&object.source, &written, first));
            continue;
        }
        known.insert(written.title(), object.source.clone());
        match written {
            Written::Policy(policy) => {
                policies.push(policy);
                objects.push(object);
            }
            Written::Exception(exception) => exceptions.push(Arc::new(exception)),
        }
    }
    if errors.is_empty() {
        let exceptions: Exceptions = exceptions.into_iter().collect();
        Ok(Loaded {
            policies: Policies::new(policies, cap).with_exceptions(exceptions),
            objects,
        })
    } else {
        Err(errors)
    }
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

/// Reads one object as a policy or an exception.
///
/// # Errors
/// Everything wrong with it.
pub fn read_policy(object: &Object) -> Result<Written, Vec<PolicyError>> {
    const KINDS: [&str; 2] = ["ControlPolicy", "ControlException"];
    let whole = |message: String| Err(vec![PolicyError::whole(&object.source, message)]);
    let wrong = |problems: Problems| {
        let mut problems = problems.0;
        problems.sort_by_key(|problem| problem.line);
        let errors = problems.into_iter();
        errors
            .map(|problem| PolicyError::new(&object.source, problem))
            .collect::<Vec<_>>()
    };
    let (api_version, kind) = parse::kind(&object.node).unwrap_or_default();
    let ours = api_version.split('/').next() == Some("tidegate.dev");
    match kind {
        "ControlPolicy" if ours => control_policy(&object.node)
            .map(Written::Policy)
            .map_err(wrong),
        "ControlException" if ours => control_exception(&object.node)
            .map(Written::Exception)
            .map_err(wrong),
        "ImageTrust" if ours => whole(format!(
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
            "{kind} of {api_version} is no policy; expected ControlPolicy or ControlException of {API_VERSION}"
        )),
    }
}
