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
/// The most causes of a denial, and the bytes of their texts: the whole answer stays under 64 KiB.
const CAUSES_LIMIT: usize = 100;
const CAUSE_TEXT_LIMIT: usize = 256;
/// The longest audit annotation.
const ANNOTATION_LIMIT: usize = 8_192;

/// The answer to `input`'s request.
pub fn answer<'i>(input: &'i Input<'_>, verdict: &Verdict) -> Response<'i> {
    let request = &input.request;
    let allowed = verdict.allowed();
    Response {
        uid: &request.uid,
        allowed,
        status: (!allowed).then(|| status(input, verdict)),
        warnings: if allowed { warnings(verdict) } else { Vec::new() },
        audit_annotations: annotations(verdict),
    }
}

fn status(input: &Input<'_>, verdict: &Verdict) -> Status {
    let denying: Vec<&Finding> = verdict.findings.iter().filter(|finding| finding.denies()).collect();
    let malformed = denying.iter().all(|finding| finding.violation.invalid.is_some());
    let request = &input.request;
    Status {
        status: "Failure",
        message: message(input, &denying),
        reason: if malformed { "Invalid" } else { "Forbidden" },
        details: Details {
            name: visible(&request.name).into_owned(),
            group: request.kind.group.to_string(),
            kind: if malformed { request.kind.kind.to_string() } else { request.resource.resource.to_string() },
            causes: causes(&denying),
        },
        code: if malformed { 422 } else { 403 },
    }
}

fn message(input: &Input<'_>, denying: &[&Finding]) -> String {
    let count = denying.len();
    let findings = if count == 1 { "finding" } else { "findings" };
    let mut message = format!("tidegate denies {}: {count} {findings}", subject_name(input));
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
    let kind = visible(&request.kind.kind);
    let mut text = format!("{} ", if kind.is_empty() { "object".into() } else { kind });
    if request.name.is_empty() {
        let prefix = input.object().map(|object| &*object.metadata.generate_name).unwrap_or_default();
        let _ = write!(text, "\"{}…\"", shorten(&visible(prefix), 256));
    } else {
        let _ = write!(text, "\"{}\"", shorten(&visible(&request.name), 256));
    }
    if !request.namespace.is_empty() && request.kind.kind != "Namespace" {
        let _ = write!(text, " in namespace \"{}\"", shorten(&visible(&request.namespace), 256));
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
    let _ = write!(line, ": {}. {}", shorten(message, LINE_LIMIT), violation.fix);
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
    let each = denying.iter().flat_map(|finding| {
        let violation = &finding.violation;
        if let Some(causes) = &violation.invalid {
            return causes.clone();
        }
        let root = [FieldPath::root()];
        let fields = if violation.fields.is_empty() { &root[..] } else { &violation.fields[..] };
        let cause = |field: &FieldPath| Cause {
            reason: finding.rule(),
            message: violation.message.clone(),
            field: field.to_string(),
        };
        fields.iter().map(cause).collect()
    });
    let bounded = each.take(CAUSES_LIMIT).map(|cause| Cause {
        reason: cause.reason,
        message: shorten(&visible(&cause.message), CAUSE_TEXT_LIMIT).into_owned(),
        field: shorten(&visible(&cause.field), CAUSE_TEXT_LIMIT).into_owned(),
    });
    bounded.collect()
}

/// One warning a finding. What only advises (a template whose pods would be denied) warns too.
fn warnings(verdict: &Verdict) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for finding in verdict.findings.iter().filter(|finding| finding.mode >= Mode::Warn) {
        let text = format!("{}: {}", finding.rule(), finding.violation.message);
        let text = shorten(&visible(&text), WARNING_LIMIT).into_owned();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let count = texts.len();
    let notice = |left: usize| format!("tidegate: {left} of {count} warnings are not shown; the audit log has all");
    let mut used = 0;
    let fits = |limit: usize, used: &mut usize, text: &String| {
        *used += text.len();
        *used <= limit
    };
    if texts.iter().map(String::len).sum::<usize>() > WARNINGS_LIMIT {
        let room = WARNINGS_LIMIT - notice(count).len();
        let kept = texts.iter().take_while(|text| fits(room, &mut used, text)).count();
        texts.truncate(kept);
        texts.insert(0, notice(count - kept));
    }
    texts
}

/// Everything about the decision for the API server's audit log.
fn annotations(verdict: &Verdict) -> AuditAnnotations {
    #[derive(Serialize)]
    struct Entry<'f> {
        check: String,
        mode: &'static str,
        fields: Vec<&'f str>,
    }
    let mut annotations = vec![("verdict", verdict.word().to_owned())];
    if !verdict.findings.is_empty() {
        let entries: Vec<Entry> = verdict
            .findings
            .iter()
            .map(|finding| Entry {
                check: finding.rule(),
                mode: finding.mode.as_str(),
                fields: finding.violation.fields.iter().map(FieldPath::as_str).collect(),
            })
            .collect();
        annotations.push(("findings", bounded_list(&entries)));
    }
    if !verdict.policies.is_empty() {
        let names: Vec<&str> = verdict.policies.iter().map(|name| &**name).collect();
        annotations.push(("policies", shorten(&names.join(","), ANNOTATION_LIMIT).into_owned()));
    }
    for (key, text) in &verdict.notes {
        if !annotations.iter().any(|(known, _)| known == key) {
            annotations.push((key, shorten(text, ANNOTATION_LIMIT).into_owned()));
        }
    }
    AuditAnnotations(annotations)
}

/// A JSON list that stays within the limit by leaving out what comes last.
fn bounded_list<T: Serialize>(entries: &[T]) -> String {
    let mut list = String::from("[");
    for (index, entry) in entries.iter().enumerate() {
        let text = serde_json::to_string(entry).unwrap_or_default();
        if list.len() + text.len() > ANNOTATION_LIMIT {
            let _ = write!(list, ",{{\"omitted\":{}}}", entries.len() - index);
            break;
        }
        if index > 0 {
            list.push(',');
        }
        list.push_str(&text);
    }
    list.push(']');
    list
}

impl Verdict {
    /// The verdict in one word: `deny`, `warn`, `audit` (something was only recorded) or `allow`.
    pub fn word(&self) -> &'static str {
        if !self.allowed() {
            "deny"
        } else {
            match self.strictest() {
                Some(Mode::Enforce | Mode::Warn) => "warn",
                Some(Mode::Audit) => "audit",
                Some(Mode::Off) | None => "allow",
            }
        }
    }
}
