//! What `check` found: the model its outputs are written from, and its JSON.

use serde::Serialize;

use crate::control::{Finding, Mode};
use crate::document::source::{Source, Unreadable};
use crate::document::{Node, Value};
use crate::evaluate::Verdict;
use crate::path::FieldPath;
use crate::policy::API_VERSION;

/// Everything that was judged and what could not be read, in the order of the input.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// The objects judged.
    pub subjects: Vec<Subject>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// One object and what was found in it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Where it stands.
    pub source: Source,
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty, and then left out, for what belongs to none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name; empty where the API server is to make one.
    pub name: String,
    /// The start of a name the API server is to make.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generate_name: String,
    /// What the webhook would answer.
    pub allowed: bool,
    /// The findings, in the order of the catalogue.
    pub findings: Vec<Entry>,
}

/// One finding of a subject.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Id of the control.
    pub control: &'static str,
    /// Id of the check.
    pub check: &'static str,
    /// The mode of the control there.
    #[serde(serialize_with = "as_str")]
    pub mode: Mode,
    /// What is wrong.
    pub message: String,
    /// Every field that breaks the check.
    pub fields: Vec<String>,
    /// The line of each of these fields, or of the nearest value around it.
    pub lines: Vec<u32>,
    /// How to fix it.
    pub fix: String,
    /// The policy that asks for it most strictly.
    pub policy: String,
    /// The exception that lowered it, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn as_str<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.as_str())
}

impl Entry {
    /// A finding on `object`.
    pub fn new(finding: &Finding, object: &Node) -> Entry {
        let violation = &finding.violation;
        Entry {
            control: finding.control,
            check: violation.check.id,
            mode: finding.mode,
            message: violation.message.clone(),
            fields: violation.fields.iter().map(FieldPath::to_string).collect(),
            lines: violation
                .fields
                .iter()
                .map(|field| line_of(object, field))
                .collect(),
            fix: violation.fix.clone().into_owned(),
            policy: finding
                .policies
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            exception: finding.exception.as_deref().map(str::to_owned),
        }
    }

    /// `control/check`.
    pub fn rule(&self) -> String {
        format!("{}/{}", self.control, self.check)
    }

    /// The line of the first field; `otherwise` if there is none.
    pub fn line_or(&self, otherwise: u32) -> u32 {
        self.lines
            .first()
            .copied()
            .filter(|line| *line > 0)
            .unwrap_or(otherwise)
    }
}

impl Subject {
    /// Takes over a verdict on `object`.
    pub fn judge(&mut self, verdict: &Verdict, object: &Node) {
        self.allowed = verdict.allowed();
        self.findings = verdict
            .findings
            .iter()
            .map(|finding| Entry::new(finding, object))
            .collect();
    }

    /// `Pod shop/web`, `ClusterRole admin`, `Job shop/backup-…`.
    pub fn title(&self) -> String {
        let mut title = format!("{} ", self.kind);
        if !self.namespace.is_empty() {
            title.push_str(&self.namespace);
            title.push('/');
        }
        if self.name.is_empty() {
            title.push_str(&self.generate_name);
            title.push('…');
        } else {
            title.push_str(&self.name);
        }
        title
    }
}

/// The line of `field` in `object`, or of the innermost value around it that is there.
///
/// A path is not taken apart but followed: of each value the child is looked for whose own path
/// leads on. A hostile object has many fields and many findings, so no step may cost more than a
/// comparison.
fn line_of(object: &Node, field: &FieldPath) -> u32 {
    let (mut node, mut rest) = (object, field.as_str());
    loop {
        let child = match &node.value {
            Value::Map(entries) => entries
                .iter()
                .find_map(|(key, child)| Some((child, after_key(rest, key)?))),
            Value::List(elements) => {
                after_index(rest).and_then(|(index, rest)| Some((elements.get(index)?, rest)))
            }
            _ => None,
        };
        match child {
            Some(inner) => (node, rest) = inner,
            None => return node.line,
        }
    }
}

/// What of a path is left behind `key`, if the path goes there.
fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let plain = path.strip_prefix('.').unwrap_or(path);
    let quoted = || {
        let inner = path.strip_prefix("[\"")?;
        let escaped = key.contains(|character: char| {
            character == '"' || character == '\\' || character.is_control()
        });
        if !escaped {
            return inner.strip_prefix(key)?.strip_prefix("\"]");
        }
        path.strip_prefix(FieldPath::root().key(key).as_str())
    };
    let rest = plain.strip_prefix(key).or_else(quoted)?;
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

/// The index a path goes on with, and what of the path is left behind it.
fn after_index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// How many findings of each mode.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Mode enforce.
    pub enforce: usize,
    /// Mode warn.
    pub warn: usize,
    /// Mode audit.
    pub audit: usize,
}

impl Counts {
    /// Of every mode together.
    pub fn total(self) -> usize {
        self.enforce + self.warn + self.audit
    }
}

/// The counts of a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// Objects judged.
    pub subjects: usize,
    /// Objects the webhook would deny.
    pub denied: usize,
    /// Findings by mode.
    pub findings: Counts,
    /// Documents that could not be read.
    pub unreadable: usize,
}

impl CheckReport {
    /// Every finding with its subject.
    pub fn findings(&self) -> impl Iterator<Item = (&Subject, &Entry)> {
        self.subjects
            .iter()
            .flat_map(|subject| subject.findings.iter().map(move |entry| (subject, entry)))
    }

    /// The counts.
    pub fn summary(&self) -> Summary {
        let count = |mode| {
            self.findings()
                .filter(|(_, entry)| entry.mode == mode)
                .count()
        };
        Summary {
            subjects: self.subjects.len(),
            denied: self
                .subjects
                .iter()
                .filter(|subject| !subject.allowed)
                .count(),
            findings: Counts {
                enforce: count(Mode::Enforce),
                warn: count(Mode::Warn),
                audit: count(Mode::Audit),
            },
            unreadable: self.unreadable.len(),
        }
    }

    /// The report as JSON: fields are added to it in later versions, never renamed.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Report<'r> {
            api_version: &'static str,
            kind: &'static str,
            summary: Summary,
            subjects: &'r [Subject],
            unreadable: &'r [Unreadable],
        }
        super::text::json(&Report {
            api_version: API_VERSION,
            kind: "CheckReport",
            summary: self.summary(),
            subjects: &self.subjects,
            unreadable: &self.unreadable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    #[test]
    fn a_field_is_found_where_it_stands_or_around_where_it_should() {
        let text = "kind: Pod\nspec:\n  containers:\n  - name: a\n  - name: b\n    image: x\n  a.b/c:\n    d: 1\n";
        let node = parse(text).remove(0).unwrap().node;
        let containers = || FieldPath::of("spec").field("containers");
        assert_eq!(line_of(&node, &containers().index(1).field("image")), 6);
        assert_eq!(
            line_of(
                &node,
                &containers().index(1).field("securityContext.privileged")
            ),
            5
        );
        assert_eq!(
            line_of(&node, &FieldPath::of("spec").key("a.b/c").key("d")),
            8
        );
        assert_eq!(line_of(&node, &FieldPath::of("metadata.labels")), 1);
        assert_eq!(line_of(&node, &FieldPath::of("spec.container")), 3);
        assert_eq!(line_of(&node, &FieldPath::root()), 1);
    }

    #[test]
    fn keys_that_need_quotes_are_found() {
        let node = parse("metadata:\n  labels:\n    'a.b/c': x\n    \"q\\\"\\n\": y\n    a: z\n")
            .remove(0)
            .unwrap()
            .node;
        let labels = || FieldPath::of("metadata.labels");
        for (key, line) in [("a.b/c", 3), ("q\"\n", 4), ("a", 5), ("absent", 3)] {
            assert_eq!(line_of(&node, &labels().key(key)), line, "{key:?}");
        }
    }

    #[test]
    fn many_findings_on_many_fields_are_placed_quickly() {
        let text = format!("l: [{}]", "1,".repeat(20_000));
        let node = parse(&text).remove(0).unwrap().node;
        for index in 0..20_000 {
            assert_eq!(line_of(&node, &FieldPath::of("l").index(index)), 1);
        }
    }
}
