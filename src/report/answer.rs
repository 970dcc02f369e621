//! A verdict as the answer to the API server.

use std::fmt::Write;

use serde::Serialize;

use crate::control::{Finding, Mode};
use crate::evaluate::Verdict;
use crate::path::FieldPath;
use crate::review::{AuditAnnotations, Cause, Details, Request, Response, Status};
use crate::subject::Input;

use super::text::{shorten, visible};

/// The longest message of a denial, in bytes.
const MESSAGE_LIMIT: usize = 4_096;
/// The longest line of one finding within it.
const LINE_LIMIT: usize = 1_024;
/// The longest single warning: beyond it the API server may cut.
const WARNING_LIMIT: usize = 256;
/// All warnings together; the API server's 4,096 are shared with its own and other webhooks'.
const WARNINGS_LIMIT: usize = 2_000;
/// The most causes of a denial, their bytes as JSON, and those of each text: the whole answer stays
/// under 64 KiB, also where escapes double a text.
const CAUSES_LIMIT: usize = 100;
const CAUSES_BYTES: usize = 20 * 1_024;
const CAUSE_TEXT_LIMIT: usize = 256;
/// The longest name, kind or group: Kubernetes allows none over 253 bytes.
const NAME_LIMIT: usize = 256;
/// The longest list of findings in the audit annotations.
const FINDINGS_LIMIT: usize = 8_192;
/// The longest other audit annotation.
const ANNOTATION_LIMIT: usize = 2_048;

/// The answer to `input`'s request.
pub fn answer<'i>(input: &'i Input<'_>, verdict: &Verdict) -> Response<'i> {
    let request = &input.request;
    let allowed = verdict.allowed();
    Response {
        uid: &request.uid,
        allowed,
        status: (!allowed).then(|| status(input, verdict)),
        warnings: if allowed {
            warnings(verdict)
        } else {
            Vec::new()
        },
        audit_annotations: annotations(verdict),
    }
}

fn status(input: &Input<'_>, verdict: &Verdict) -> Status {
    let denying: Vec<&Finding> = verdict
        .findings
        .iter()
        .filter(|finding| finding.denies())
        .collect();
    let malformed = denying
        .iter()
        .all(|finding| finding.violation.invalid.is_some());
    let request = &input.request;
    Status {
        status: "Failure",
        message: message(input, &denying),
        reason: if malformed { "Invalid" } else { "Forbidden" },
        details: Details {
            name: name(&request.name),
            group: name(&request.kind.group),
            kind: name(if malformed {
                &request.kind.kind
            } else {
                &request.resource.resource
            }),
            causes: causes(&denying),
        },
        code: if malformed { 422 } else { 403 },
    }
}

fn name(text: &str) -> String {
    shorten(&visible(text), NAME_LIMIT).into_owned()
}

fn message(input: &Input<'_>, denying: &[&Finding]) -> String {
    let count = denying.len();
    let findings = if count == 1 { "finding" } else { "findings" };
    let mut message = format!(
        "tidegate denies {}: {count} {findings}",
        subject_name(input)
    );
    for (index, finding) in denying.iter().enumerate() {
        let line = line(finding);
        let left = count - index;
        let rest = format!("\n- and {left} more");
        let room = MESSAGE_LIMIT - if left > 1 { rest.len() } else { 0 };
        if message.len() + line.len() + 1 > room {
            message.push_str(&rest);
            break;
        }
        message.push('\n');
        message.push_str(&line);
    }
    message
}

/// `Pod "web" in namespace "shop"`, as far as the request tells.
pub fn subject_name(input: &Input<'_>) -> String {
    let request: &Request = &input.request;
    let kind = name(&request.kind.kind);
    let mut text = format!("{} ", if kind.is_empty() { "object" } else { &kind });
    if request.name.is_empty() {
        let prefix = input
            .object()
            .map(|object| &*object.metadata.generate_name)
            .unwrap_or_default();
        let _ = write!(text, "\"{}…\"", name(prefix));
    } else {
        let _ = write!(text, "\"{}\"", name(&request.name));
    }
    if !request.namespace.is_empty() && request.kind.kind != "Namespace" {
        let _ = write!(text, " in namespace \"{}\"", name(&request.namespace));
    }
    text
}

/// One finding on one line: control and check, where, what is wrong, what to do.
pub fn line(finding: &Finding) -> String {
    let violation = &finding.violation;
    let mut line = format!("- {}", finding.rule());
    if !violation.fields.is_empty() {
        let _ = write!(line, " at {}", fields(&violation.fields));
    }
    let message = visible(&violation.message);
    let message = message.trim_end_matches('.');
    let _ = write!(
        line,
        ": {}. {}",
        shorten(message, LINE_LIMIT),
        violation.fix
    );
    visible(&line).into_owned()
}

fn fields(fields: &[FieldPath]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = fields.iter().take(SHOWN).map(FieldPath::as_str).collect();
    let mut text = shorten(&shown.join(", "), 512).into_owned();
    if fields.len() > SHOWN {
        let _ = write!(text, " and {} more", fields.len() - SHOWN);
    }
    text
}

fn causes(denying: &[&Finding]) -> Vec<Cause> {
    let short = |text: &str| shorten(&visible(text), CAUSE_TEXT_LIMIT).into_owned();
    let root = [FieldPath::root()];
    let mut causes = Vec::new();
    for finding in denying {
        let violation = &finding.violation;
        if let Some(invalid) = &violation.invalid {
            causes.extend(invalid.iter().take(CAUSES_LIMIT).map(|cause| Cause {
                reason: cause.reason.clone(),
                message: short(&cause.message),
                field: short(&cause.field),
            }));
            continue;
        }
        // Shortened before it is copied to each field: with thousands of fields it is long itself.
        let message = short(&violation.message);
        let fields = if violation.fields.is_empty() {
            &root[..]
        } else {
            &violation.fields[..]
        };
        causes.extend(fields.iter().take(CAUSES_LIMIT).map(|field| Cause {
            reason: finding.rule(),
            message: message.clone(),
            field: short(field.as_str()),
        }));
    }
    causes.truncate(CAUSES_LIMIT);
    let mut used = 0;
    let fits = |cause: &Cause| {
        used += serde_json::to_string(cause).unwrap_or_default().len();
        used <= CAUSES_BYTES
    };
    causes.into_iter().take_while(fits).collect()
}

/// One warning a finding. What only advises (a template whose pods would be denied) warns too.
fn warnings(verdict: &Verdict) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for finding in verdict
        .findings
        .iter()
        .filter(|finding| finding.mode >= Mode::Warn)
    {
        let text = format!("{}: {}", finding.rule(), finding.violation.message);
        let text = shorten(&visible(&text), WARNING_LIMIT).into_owned();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let count = texts.len();
    let notice = |left: usize| {
        format!("tidegate: {left} of {count} warnings are not shown; the audit log has all")
    };
    let mut used = 0;
    let fits = |limit: usize, used: &mut usize, text: &String| {
        *used += text.len();
        *used <= limit
    };
    if texts.iter().map(String::len).sum::<usize>() > WARNINGS_LIMIT {
        let room = WARNINGS_LIMIT - notice(count).len();
        let kept = texts
            .iter()
            .take_while(|text| fits(room, &mut used, text))
            .count();
        texts.truncate(kept);
        texts.insert(0, notice(count - kept));
    }
    texts
}

/// A finding in the audit annotation `findings`.
#[derive(Serialize)]
struct Entry<'f> {
    check: String,
    mode: &'static str,
    fields: Vec<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'f str>,
}

/// Everything about the decision for the API server's audit log.
fn annotations(verdict: &Verdict) -> AuditAnnotations {
    let mut annotations = vec![("verdict", verdict.word().to_owned())];
    if !verdict.findings.is_empty() {
        let entries: Vec<Entry> = verdict
            .findings
            .iter()
            .map(|finding| Entry {
                check: finding.rule(),
                mode: finding.mode.as_str(),
                fields: finding
                    .violation
                    .fields
                    .iter()
                    .map(FieldPath::as_str)
                    .collect(),
                exception: finding.exception.as_deref(),
            })
            .collect();
        annotations.push(("findings", bounded_list(entries)));
    }
    let exceptions: Vec<&str> = verdict.exceptions().map(|id| &**id).collect();
    if !exceptions.is_empty() {
        annotations.push((
            "exceptions",
            shorten(&exceptions.join(","), ANNOTATION_LIMIT).into_owned(),
        ));
    }
    if !verdict.generation.is_empty() {
        annotations.push(("generation", verdict.generation.to_string()));
    }
    if !verdict.policies.is_empty() {
        let names: Vec<&str> = verdict.policies.iter().map(|name| &**name).collect();
        annotations.push((
            "policies",
            shorten(&names.join(","), ANNOTATION_LIMIT).into_owned(),
        ));
    }
    for (key, text) in &verdict.notes {
        if !annotations.iter().any(|(known, _)| known == key) {
            annotations.push((key, shorten(&visible(text), ANNOTATION_LIMIT).into_owned()));
        }
    }
    AuditAnnotations(annotations)
}

/// A JSON list that stays within the limit: an entry that does not fit loses its fields, and if it
/// still does not, it and those after it are only counted.
fn bounded_list(entries: Vec<Entry<'_>>) -> String {
    let count = entries.len();
    let mut list = String::from("[");
    for (index, mut entry) in entries.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let mut text = serde_json::to_string(&entry).unwrap_or_default();
        if list.len() + text.len() > FINDINGS_LIMIT {
            entry.fields.clear();
            text = serde_json::to_string(&entry).unwrap_or_default();
        }
        if list.len() + text.len() > FINDINGS_LIMIT {
            let _ = write!(list, "{comma}{{\"omitted\":{}}}", count - index);
            break;
        }
        list.push_str(comma);
        list.push_str(&text);
    }
    list.push(']');
    list
}

impl Verdict {
    /// The verdict in one word: `deny`, `warn`, `audit` (something was only recorded) or `allow`.
    pub fn word(&self) -> &'static str {
        match self.strictest() {
            _ if !self.allowed() => "deny",
            Some(Mode::Enforce | Mode::Warn) => "warn",
            Some(Mode::Audit) => "audit",
            Some(Mode::Off) | None => "allow",
        }
    }
}
