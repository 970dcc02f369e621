//! `pod-security` treats requests as upstream's admission does: from each of our outcomes upstream's
//! answer is written, byte for byte, and compared with the one upstream's own code gave.
//!
//! What cannot be equal is named in [`normalised`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use tidegate::controls::pod_security::labels::{LabelError, levels};
use tidegate::controls::pod_security::level::Level;
use tidegate::controls::pod_security::outcome::{
    Evaluation, Exemption, Failed, Failures, Outcome, Target,
};
use tidegate::controls::pod_security::quote::go_quote;
use tidegate::controls::pod_security::settings::{Settings, read_exemptions, read_levels};
use tidegate::document;
use tidegate::facts::{ExistingPods, Fact, Facts, Labels};
use tidegate::policy::settings::{Cursor, Problems};
use tidegate::review::{Operation, Request};
use tidegate::subject::Input;

/// One line of `oracle requests`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    config: &'a RawValue,
    namespaces: BTreeMap<String, Namespace>,
    #[serde(borrow)]
    pods: Vec<&'a RawValue>,
    pods_error: bool,
    #[serde(borrow)]
    review: &'a RawValue,
    response: Value,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    error: Option<String>,
}

fn settings(config: &str) -> Settings {
    let documents = document::parse(config);
    let document = documents.into_iter().next().unwrap().unwrap();
    let mut problems = Problems::default();
    let known = ["apiVersion", "kind", "defaults", "exemptions"];
    let fields = Cursor::root(&document.node).fields(&known, &mut problems);
    let default = fields
        .get("defaults")
        .map(|field| read_levels(field, &mut problems));
    let exemptions = fields
        .get("exemptions")
        .map(|field| read_exemptions(field, &mut problems));
    assert_eq!(problems, Problems::default(), "{config}");
    Settings {
        default: default.unwrap_or_default(),
        exemptions: exemptions.unwrap_or_default(),
        ..Settings::default()
    }
}

fn facts(line: &Line<'_>, request: &Request<'_>) -> Facts {
    let namespace = match line.namespaces.get(&*request.namespace) {
        None => Fact::Unavailable(format!(
            "namespaces {} not found",
            go_quote(&request.namespace)
        )),
        Some(Namespace {
            error: Some(error), ..
        }) => Fact::Unavailable(error.clone()),
        Some(Namespace { labels, .. }) => {
            let labels = labels.clone().unwrap_or_default();
            Fact::Known(Labels::from_iter(labels))
        }
    };
    let pods: Vec<Box<str>> = line.pods.iter().map(|pod| pod.get().into()).collect();
    Facts {
        now: None,
        namespace,
        existing_pods: if line.pods_error {
            Fact::Unavailable("the list failed".into())
        } else {
            Fact::Known(ExistingPods {
                total: pods.len(),
                pods,
            })
        },
    }
}

/// Upstream's answer to `request`, from our outcome.
fn upstream_answer(request: &Request<'_>, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Ignored | Outcome::Privileged(Target::Template | Target::Namespace) => {
            json!({"allowed": true})
        }
        Outcome::Exempt(exemption) => {
            json!({"allowed": true, "auditAnnotations": {"exempt": exemption.as_str()}})
        }
        Outcome::Privileged(Target::Pod) => {
            json!({"allowed": true, "auditAnnotations": {"enforce-policy": "privileged:latest"}})
        }
        Outcome::Failed(failed, target) => failure(request, failed, *target),
        Outcome::Evaluated(evaluation) => judged(request, evaluation),
        Outcome::Namespace(namespace) if !namespace.invalid.is_empty() => {
            invalid(request, &namespace.invalid)
        }
        Outcome::Namespace(namespace) => allowed(&namespace.warnings, json!({})),
    }
}

fn allowed(warnings: &[String], annotations: Value) -> Value {
    let mut answer = json!({"allowed": true});
    if !warnings.is_empty() {
        answer["warnings"] = json!(warnings);
    }
    if annotations != json!({}) {
        answer["auditAnnotations"] = annotations;
    }
    answer
}

fn failure(request: &Request<'_>, failed: &Failed, target: Target) -> Value {
    let namespace = go_quote(&request.namespace);
    let kind = if target == Target::Pod {
        "pod"
    } else {
        "namespace"
    };
    // Upstream writes two blanks where it speaks of a Namespace's old object.
    let old = if target == Target::Pod { "old" } else { " old" };
    if target == Target::Template {
        let error = match failed {
            Failed::Lookup(why) => format!("failed to lookup namespace {namespace}: {why}"),
            Failed::Object(_) | Failed::OldObject(_) | Failed::OldKind(_) => {
                "failed to decode object: …".into()
            }
            Failed::Kind(_) => "failed to extract pod template: …".into(),
        };
        return json!({"allowed": true, "auditAnnotations": {"error": error}});
    }
    let text = match failed {
        Failed::Lookup(why) => {
            let message =
                format!("Internal error occurred: failed to lookup namespace {namespace}");
            return json!({
                "allowed": false,
                "status": {
                    "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500, "message": message,
                    "details": {"causes": [{"message": format!("failed to lookup namespace {namespace}")}]},
                },
                "auditAnnotations": {"error": format!("{message}: {why}")},
            });
        }
        Failed::Object(_) => "failed to decode object".into(),
        Failed::Kind(_) => format!("failed to decode {kind}"),
        Failed::OldObject(_) => format!("failed to decode {old} object"),
        Failed::OldKind(_) => format!("failed to decode {old} {kind}"),
    };
    let decoding = matches!(failed, Failed::Object(_) | Failed::OldObject(_));
    let error = if decoding {
        format!("{text}: …")
    } else {
        text.clone()
    };
    json!({
        "allowed": false,
        "status": {"metadata": {}, "status": "Failure", "reason": "BadRequest", "code": 400, "message": text},
        "auditAnnotations": {"error": error},
    })
}

fn details(failures: &Failures) -> String {
    failures
        .iter()
        .map(|(_, failure)| failure.text())
        .collect::<Vec<_>>()
        .join(", ")
}

fn judged(request: &Request<'_>, evaluation: &Evaluation) -> Value {
    let levels = &evaluation.levels;
    let mut annotations = json!({});
    if !evaluation.label_errors.is_empty() {
        annotations["error"] = json!(format!(
            "Failed to parse policy: {}",
            aggregate(&evaluation.label_errors)
        ));
    }
    if !evaluation.audit.is_empty() {
        let text = format!(
            "would violate PodSecurity \"{}\": {}",
            levels.audit,
            details(&evaluation.audit)
        );
        annotations["audit-violations"] = json!(text);
    }
    if evaluation.target == Target::Pod {
        annotations["enforce-policy"] = json!(levels.enforce.to_string());
        if !evaluation.enforce.is_empty() {
            let name = &*request.name;
            let who = if name.is_empty() {
                "pods".into()
            } else {
                format!("pods {}", go_quote(name))
            };
            let details_text = details(&evaluation.enforce);
            let message = format!(
                "{who} is forbidden: violates PodSecurity \"{}\": {details_text}",
                levels.enforce
            );
            let mut about = json!({"kind": "pods"});
            if !name.is_empty() {
                about["name"] = json!(name);
            }
            return json!({
                "allowed": false,
                "status": {
                    "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
                    "message": message, "details": about,
                },
                "auditAnnotations": annotations,
            });
        }
    }
    let warning = format!(
        "would violate PodSecurity \"{}\": {}",
        levels.warn,
        details(&evaluation.warn)
    );
    let warnings: Vec<String> = (!evaluation.warn.is_empty())
        .then_some(warning)
        .into_iter()
        .collect();
    allowed(&warnings, annotations)
}

fn aggregate(errors: &[LabelError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|error| format!("{}: {}", error.field(), error.message()))
        .collect();
    if texts.len() == 1 {
        texts[0].clone()
    } else {
        format!("[{}]", texts.join(", "))
    }
}

fn invalid(request: &Request<'_>, errors: &[LabelError]) -> Value {
    let kind = &*request.kind.kind;
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| json!({"reason": "FieldValueInvalid", "message": error.message(), "field": error.field()}))
        .collect();
    let mut about = json!({"causes": causes});
    if !kind.is_empty() {
        about["kind"] = json!(kind);
    }
    if !request.kind.group.is_empty() {
        about["group"] = json!(&*request.kind.group);
    }
    if !request.name.is_empty() {
        about["name"] = json!(&*request.name);
    }
    let qualified = if request.kind.group.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}.{}", request.kind.group)
    };
    let message = format!(
        "{qualified} {} is invalid: {}",
        go_quote(&request.name),
        aggregate(errors)
    );
    json!({
        "allowed": false,
        "status": {
            "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422, "message": message, "details": about,
        },
    })
}

/// An answer without what ours cannot equal: how an object that cannot be read is named. Upstream
/// tells apart what its decoder refuses (with Go's words), kinds its scheme lacks and objects of
/// another kind than the resource; ours only whether it was the object or the old one.
fn normalised(answer: &Value) -> Value {
    let mut answer = answer.clone();
    answer.as_object_mut().unwrap().remove("uid");
    for place in ["/auditAnnotations/error", "/status/message"] {
        let Some(text) = answer.pointer_mut(place) else {
            continue;
        };
        let old = ["failed to decode old ", "failed to decode  old "];
        let new = [
            "failed to decode object",
            "failed to decode pod",
            "failed to decode namespace",
            "failed to extract",
        ];
        let starts = |starts: &[&str]| {
            starts
                .iter()
                .any(|start| text.as_str().unwrap().starts_with(start))
        };
        if starts(&old) {
            *text = json!("the old object cannot be read");
        } else if starts(&new) {
            *text = json!("the object cannot be read");
        }
    }
    answer
}

/// Whether upstream's plug-in and its webhook are asked about such requests at all: its library
/// alone would try to decode what CONNECT and DELETE do not carry, and call every other resource a
/// template it cannot find.
fn asked_upstream(request: &Request<'_>) -> bool {
    let known = [
        "pods",
        "namespaces",
        "replicationcontrollers",
        "podtemplates",
        "deployments",
        "replicasets",
        "statefulsets",
        "daemonsets",
        "jobs",
        "cronjobs",
    ];
    let group = match &*request.resource.resource {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => "apps",
        "jobs" | "cronjobs" => "batch",
        _ => "",
    };
    matches!(request.operation, Operation::Create | Operation::Update)
        && known.contains(&&*request.resource.resource)
        && *request.resource.group == *group
}

/// Whether upstream does not even read a template because its levels of audit and warn ask nothing.
/// We do: the pods of the template may break the enforced level.
fn unasked(settings: &Settings, facts: &Facts, outcome: &Outcome) -> bool {
    let Fact::Known(namespace) = &facts.namespace else {
        return false;
    };
    let (levels, errors) = levels(|key| namespace.get(key), &settings.default);
    let quiet = [levels.audit, levels.warn]
        .iter()
        .all(|lv| lv.level == Level::Privileged);
    let template = match outcome {
        Outcome::Evaluated(evaluation) => evaluation.target == Target::Template,
        Outcome::Failed(_, target) => *target == Target::Template,
        Outcome::Exempt(exemption) => *exemption == Exemption::RuntimeClass,
        _ => false,
    };
    quiet && errors.is_empty() && template
}

/// Compares one line; what differs is the error.
fn compare(text: &str) -> Result<bool, String> {
    let line: Line = serde_json::from_str(text).unwrap();
    let request = Request::decode(line.review.get().as_bytes())
        .map_err(|error| format!("{error}\n{text}"))?;
    let input = Input::new(request);
    let settings = settings(line.config.get());
    let facts = facts(&line, &input.request);
    let outcome = settings.decide(&input, &facts);
    if !asked_upstream(&input.request) {
        return if matches!(outcome, Outcome::Ignored) {
            Ok(false)
        } else {
            Err(format!("expected to be ignored: {outcome:?}\n{text}"))
        };
    }
    if line.response.is_null() {
        // Upstream itself came to no answer: it reads a template of an object that is not there.
        return Ok(false);
    }
    if line.response == json!({"uid": &*input.request.uid, "allowed": true})
        && unasked(&settings, &facts, &outcome)
    {
        return Ok(false);
    }
    let ours = normalised(&upstream_answer(&input.request, &outcome));
    let upstream = normalised(&line.response);
    if ours == upstream {
        Ok(true)
    } else {
        Err(format!("ours:     {ours}\nupstream: {upstream}\n{text}"))
    }
}

#[derive(Default)]
struct Tally {
    lines: usize,
    asked: usize,
    differences: Vec<String>,
}

impl Tally {
    fn compare(&mut self, line: &str) {
        self.lines += 1;
        match compare(line) {
            Ok(asked) => self.asked += usize::from(asked),
            Err(difference) => self.differences.push(difference),
        }
    }

    fn assert_equal(&self, lines: usize) {
        let count = self.differences.len();
        let shown: Vec<&str> = self
            .differences
            .iter()
            .take(3)
            .map(String::as_str)
            .collect();
        assert!(
            count == 0,
            "{count} of {lines} answers differ:\n{}",
            shown.join("\n\n")
        );
        assert_eq!(self.lines, lines, "lines compared");
        assert!(
            self.asked * 2 > lines,
            "only {} of {lines} were about pods",
            self.asked
        );
    }
}

#[test]
fn frozen_requests_are_answered_as_upstream_answers_them() {
    let text = std::fs::read_to_string("tests/oracle/frozen/requests.jsonl").unwrap();
    let mut tally = Tally::default();
    text.lines().for_each(|line| tally.compare(line));
    tally.assert_equal(900);
}

#[test]
fn generated_requests_are_answered_as_upstream_answers_them() {
    let (seed, count) = (super::parity::seed().to_string(), 50_000);
    let mut tally = Tally::default();
    super::parity::oracle(
        &["requests", "-seed", &seed, "-count", &count.to_string()],
        |_, line| {
            // More would only repeat the same defect and fill the memory.
            if tally.differences.len() < 100 {
                tally.compare(line);
            }
        },
    );
    tally.assert_equal(count);
}
