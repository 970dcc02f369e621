//! `tidegate policy lint`: validates policy files.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use crate::cli::{LintArgs, Output};
use crate::commands::policies::{PolicyError, Written, read_policy};
use crate::commands::{OK, UNREADABLE, input, output};
use crate::document::source::{Object, Source};
use crate::policy::{API_VERSION, Policy};
use crate::report::console::place;
use crate::report::text;

use super::upstream;

/// Runs the command.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &LintArgs) -> Result<u8, String> {
    let mut stdin = io::stdin().lock();
    let mut report = Report::default();
    for path in &args.paths {
        let input = input::read(std::slice::from_ref(path), &mut stdin);
        if input.objects.is_empty() && input.unreadable.is_empty() {
            let source = Source::file(&path.to_string_lossy());
            report.problems.push(PolicyError {
                source,
                field: String::new(),
                message: "no policy in it".into(),
            });
        }
        report
            .problems
            .extend(input.unreadable.into_iter().map(PolicyError::from));
        input.objects.iter().for_each(|object| report.add(object));
    }
    for problem in &report.problems {
        output::say(&format!("error: {problem}"));
    }
    output::print(&match args.output {
        Output::Text => report.text(),
        Output::Json => report.json(),
    })?;
    Ok(if report.problems.is_empty() {
        OK
    } else {
        UNREADABLE
    })
}

#[derive(Default)]
struct Report {
    policies: Vec<Valid>,
    exceptions: Vec<ValidException>,
    converted: Vec<Converted>,
    problems: Vec<PolicyError>,
}

/// A policy without problems.
#[derive(Serialize)]
struct Valid {
    source: Source,
    name: String,
    controls: Vec<&'static str>,
}

/// An exception without problems.
#[derive(Serialize)]
struct ValidException {
    source: Source,
    name: String,
    expires: String,
    approved: bool,
}

/// A file of upstream's and the policy that equals it.
#[derive(Serialize)]
struct Converted {
    source: Source,
    policy: String,
}

impl Report {
    fn add(&mut self, object: &Object) {
        let source = object.source.clone();
        if upstream::is_upstream(object) {
            match upstream::convert(object) {
                Ok(policy) => self.converted.push(Converted { source, policy }),
                Err(mut problems) => self.problems.append(&mut problems),
            }
            return;
        }
        match read_policy(object) {
            Err(mut problems) => self.problems.append(&mut problems),
            Ok(written) => {
                let known = |valid: &&Valid| matches!(&written, Written::Policy(policy) if *valid.name == *policy.name);
                let excepted = |valid: &&ValidException| matches!(&written, Written::Exception(exception) if *valid.name == *exception.id);
                let policy = self.policies.iter().find(known).map(|valid| &valid.source);
                let exception = self.exceptions.iter().find(excepted);
                if let Some(first) = policy.or(exception.map(|valid| &valid.source)) {
                    let problem = PolicyError::taken(&source, &written, first);
                    self.problems.push(problem);
                    return;
                }
                match written {
                    Written::Policy(policy) => self.add_policy(source, &policy),
                    Written::Exception(exception) => self.exceptions.push(ValidException {
                        source,
                        name: exception.id.to_string(),
                        expires: text::time(exception.expires),
                        approved: exception.approval.is_some(),
                    }),
                }
            }
        }
    }

    fn add_policy(&mut self, source: Source, policy: &Policy) {
        let overrides = policy.overrides.iter().flat_map(|part| &part.controls);
        let mut controls: Vec<&str> = Vec::new();
        for setup in policy.controls.iter().chain(overrides) {
            if !controls.contains(&setup.control.id) {
                controls.push(setup.control.id);
            }
        }
        self.policies.push(Valid {
            source,
            name: policy.name.to_string(),
            controls,
        });
    }

    /// What is valid; among policies made from upstream's files as comments, so that all of it is
    /// YAML.
    fn text(&self) -> String {
        let mut out = String::new();
        let comment = if self.converted.is_empty() { "" } else { "# " };
        for valid in &self.policies {
            let controls = if valid.controls.is_empty() {
                "no controls".to_owned()
            } else {
                valid.controls.join(", ")
            };
            let line = format!(
                "{}: ControlPolicy {:?} is valid: {controls}",
                place(&valid.source),
                valid.name
            );
            let _ = writeln!(out, "{comment}{}", text::visible(&line));
        }
        for valid in &self.exceptions {
            let approved = if valid.approved {
                "approved"
            } else {
                "not approved yet"
            };
            let line = format!(
                "{}: ControlException {:?} is valid: {approved}, until {}",
                place(&valid.source),
                valid.name,
                valid.expires
            );
            let _ = writeln!(out, "{comment}{}", text::visible(&line));
        }
        for (position, converted) in self.converted.iter().enumerate() {
            if position > 0 {
                out.push_str("---\n");
            }
            let place = place(&converted.source);
            let _ = write!(
                out,
                "# Equals the PodSecurityConfiguration in {place}.\n{}",
                converted.policy
            );
        }
        out
    }

    fn json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Lint<'r> {
            api_version: &'static str,
            kind: &'static str,
            policies: &'r [Valid],
            exceptions: &'r [ValidException],
            converted: &'r [Converted],
            problems: Vec<Problem<'r>>,
        }
        #[derive(Serialize)]
        struct Problem<'r> {
            source: &'r Source,
            field: &'r str,
            message: &'r str,
        }
        let problems = self.problems.iter().map(|problem| Problem {
            source: &problem.source,
            field: &problem.field,
            message: &problem.message,
        });
        text::json(&Lint {
            api_version: API_VERSION,
            kind: "PolicyLint",
            policies: &self.policies,
            exceptions: &self.exceptions,
            converted: &self.converted,
            problems: problems.collect(),
        })
    }
}
