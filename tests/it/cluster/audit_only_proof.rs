//! Audit-only changes nothing and shows everything: thousands of writes, made without tidegate and
//! with it healthy, slow, dead and talking nonsense, store the same objects and get the same codes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate::control::{Finding, Mode};
use tidegate::evaluate::evaluate;
use tidegate::facts::{Fact, Facts, Labels};
use tidegate::policy::parse::control_policy;
use tidegate::policy::{Policies, preset};
use tidegate::review::Request;
use tidegate::subject::Input;

use super::writes::{Write, part};
use crate::bed::{self, Bed, Call, Reply, Scripted, TEMPLATE_RESOURCES, Tidegate, TidegateOptions};

/// In how many namespaces the set is made at the same time.
const PARTS: usize = 4;

/// What became of one write.
#[derive(Debug)]
struct Outcome {
    what: String,
    status: u16,
    audit_id: String,
    /// The review that the webhook was asked, where somebody recorded it.
    review: Option<Value>,
}

/// What the engine says of one write.
#[derive(Debug)]
struct Judged {
    rules: Vec<String>,
    denying: usize,
}

/// The reviews that a webhook was asked for.
type Recorder = Arc<Mutex<Recorded>>;

#[derive(Debug, Default)]
struct Recorded {
    /// The last one about the test's own writes, by namespace.
    last: HashMap<String, Value>,
    /// All of them, in order. The API server asks twice about a write that it first tried on an
    /// object that was not the newest.
    all: Vec<Value>,
}

/// Makes all writes, each part in the namespace `PREFIX-PART`, and says what became of them.
fn make(bed: &Bed, prefix: &str, recorder: &Recorder) -> Vec<Vec<Outcome>> {
    let make_part = |number: usize| {
        let namespace = format!("{prefix}-{number}");
        let outcome = |Write { what, call, labels }: Write| {
            let answer = bed.call(&call);
            if labels {
                // tidegate learns of labels by its watch.
                std::thread::sleep(Duration::from_millis(300));
            }
            Outcome {
                what,
                status: answer.status,
                audit_id: answer.audit_id,
                review: recorder.lock().unwrap().last.remove(&namespace),
            }
        };
        part(&namespace, number, PARTS)
            .into_iter()
            .map(outcome)
            .collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..PARTS)
            .map(|number| scope.spawn(move || make_part(number)))
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    })
}

/// All objects of the namespaces, without what differs from one making to the next.
fn stored(bed: &Bed, prefix: &str) -> BTreeMap<String, Value> {
    let mut stored = BTreeMap::new();
    for number in 0..PARTS {
        let namespace = format!("{prefix}-{number}");
        let own = bed
            .api()
            .must(&Call::new("GET", format!("/api/v1/namespaces/{namespace}")))
            .body;
        stored.insert(format!("{number} namespace"), essence(&own, &namespace));
        for (api, resource) in TEMPLATE_RESOURCES.into_iter().chain([("/api/v1", "pods")]) {
            let path = format!("{api}/namespaces/{namespace}/{resource}");
            let list = bed.api().must(&Call::new("GET", path)).body;
            for object in list["items"].as_array().unwrap() {
                let key = format!("{number} {resource} {}", object["metadata"]["name"]);
                stored.insert(key, essence(object, &namespace));
            }
        }
    }
    stored
}

fn essence(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    let uid = metadata["uid"].as_str().unwrap().to_owned();
    for key in ["resourceVersion", "creationTimestamp", "managedFields"] {
        metadata.remove(key);
    }
    // Written by controllers when they come to it.
    object.as_object_mut().unwrap().remove("status");
    let text = object
        .to_string()
        .replace(&uid, "UID")
        .replace(namespace, "NAMESPACE");
    // The token volume that the API server adds has a random name.
    let name = text
        .find("kube-api-access-")
        .map(|start| text[start..start + 21].to_owned());
    let text = name.map_or(text.clone(), |name| text.replace(&name, "kube-api-access"));
    serde_json::from_str(&text).unwrap()
}

fn options<'b>(bed: &'b Bed, state: &str) -> TidegateOptions<'b> {
    let mut options = bed
        .tidegate(state)
        .arguments(&["--preset", "restricted", "--audit-only"])
        .ignore_failures()
        .timeout(1);
    for number in 0..PARTS {
        options = options.namespace(&number.to_string(), &[]);
    }
    options
}

/// Holds the outcomes and objects of one state against those without tidegate.
fn compare(state: &str, with: &[Vec<Outcome>], without: &[Vec<Outcome>]) {
    for (with, without) in with.iter().flatten().zip(without.iter().flatten()) {
        assert_eq!(
            (&with.what, with.status),
            (&without.what, without.status),
            "{state}"
        );
    }
}

fn compare_stored(state: &str, with: &BTreeMap<String, Value>, without: &BTreeMap<String, Value>) {
    let keys = |stored: &BTreeMap<String, Value>| stored.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        keys(with),
        keys(without),
        "{state}: other objects are stored"
    );
    for (key, object) in with {
        assert_eq!(
            object, &without[key],
            "{state}: {key} is stored differently"
        );
    }
}

/// A server that forwards to `healthy`, one call in a hundred later than the API server waits, and
/// records what it was asked.
fn slow(
    bed: &Bed,
    registered: &Tidegate<'_>,
    healthy: &Tidegate<'_>,
    recorder: &Recorder,
) -> (Scripted, Arc<AtomicUsize>) {
    let (direct, late) = (healthy.direct(), Arc::new(AtomicUsize::new(0)));
    let notes = Arc::clone(recorder);
    let (calls, counted) = (AtomicUsize::new(0), Arc::clone(&late));
    let leaf = bed.authority().server(&[registered.server_name()]);
    let server = Scripted::start(registered.address(), &leaf, 0, move |body| {
        let review: Value = serde_json::from_str(body).unwrap();
        let request = &review["request"];
        let mut asked = notes.lock().unwrap();
        asked.all.push(review.clone());
        // Controllers write too.
        if request["userInfo"]["username"] == "admin" {
            let namespace = request["namespace"].as_str().unwrap().to_owned();
            asked.last.insert(namespace, review);
        }
        drop(asked);
        let answer = direct.forward(body);
        if calls.fetch_add(1, Ordering::Relaxed) % 100 == 99 {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1_400));
        }
        answer.map_or_else(|_| Reply::Raw(Vec::new()), Reply::Body)
    });
    (server, late)
}

/// A server that never says anything that makes sense.
fn nonsense(bed: &Bed, registered: &Tidegate<'_>) -> Scripted {
    let calls = AtomicUsize::new(0);
    let leaf = bed.authority().server(&[registered.server_name()]);
    Scripted::start(registered.address(), &leaf, 40, move |body| {
        let review: Value = serde_json::from_str(body).unwrap();
        let uid = review["request"]["uid"].clone();
        let answer = |version: &str, response: Value| {
            let review = json!({"apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview", "response": response});
            Reply::Body(review.to_string())
        };
        let raw = |text: &str| Reply::Raw(text.as_bytes().to_vec());
        let call = calls.fetch_add(1, Ordering::Relaxed);
        if call % 400 == 399 {
            // Asked again every second, until the time is over.
            return raw(
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        match call % 11 {
            0 => Reply::Body("denied, of course".to_owned()),
            1 => Reply::Body("{}".to_owned()),
            2 => answer("v1", json!({"uid": "another", "allowed": false})),
            3 => answer("v1beta1", json!({"uid": uid, "allowed": false})),
            4 => answer("v1", json!({"allowed": false, "status": {"code": 403}})),
            5 => answer(
                "v1",
                json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": "W10="}),
            ),
            6 => answer("v1", json!([uid])),
            7 => raw(
                "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\nboom",
            ),
            8 => raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nConnection: close\r\n\r\n{\"apiVersion\": \"admission",
            ),
            9 => raw("\u{0}\u{1}\u{2}not HTTP at all\r\n\r\n"),
            _ => raw(""),
        }
    })
}

/// What the engine finds in this review when nothing is capped, as `control/check`, and how much of
/// it denies.
fn judge(policies: &Policies, review: &Value, labels: &Value) -> Judged {
    let body = review.to_string();
    let input = Input::new(Request::decode(body.as_bytes()).unwrap());
    let labels = labels.as_object().cloned().unwrap_or_default();
    let labels = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
    let facts = Facts {
        namespace: Fact::Known(labels.collect::<Labels>()),
        existing_pods: Fact::Known(tidegate::facts::ExistingPods::default()),
        ..Facts::default()
    };
    let verdict = evaluate(policies, &input, &facts);
    Judged {
        rules: verdict.findings.iter().map(Finding::rule).collect(),
        denying: verdict
            .findings
            .iter()
            .filter(|finding| finding.denies())
            .count(),
    }
}

/// The policy that is in force in every state, without the cap.
fn uncapped() -> Policies {
    let yaml = preset::text("restricted").unwrap();
    let node = tidegate::document::parse(yaml).remove(0).unwrap().node;
    Policies::new(vec![control_policy(&node).unwrap()], Mode::Enforce)
}

/// What the engine says of reviews, which come in the order they were asked in; the labels of the
/// namespaces follow from them.
struct Bench {
    policies: Policies,
    labels: HashMap<String, Value>,
}

impl Bench {
    fn new() -> Self {
        Bench {
            policies: uncapped(),
            labels: HashMap::new(),
        }
    }

    fn judge(&mut self, review: &Value) -> Judged {
        let request = &review["request"];
        let namespace = request["namespace"].as_str().unwrap();
        let first = || json!({"kubernetes.io/metadata.name": namespace});
        let labels = self
            .labels
            .entry(namespace.to_owned())
            .or_insert_with(first);
        let judged = judge(&self.policies, review, labels);
        if request["kind"]["kind"] == "Namespace" {
            *labels = request["object"]["metadata"]["labels"].clone();
        }
        judged
    }
}

/// Holds what tidegate said of each write against what the engine says of the review that was
/// recorded of the same write; the number of findings that enforcing would deny by, and of writes
/// that tidegate did not answer in time.
fn shown(
    bed: &Bed,
    healthy: &Tidegate<'_>,
    outcomes: &[Vec<Outcome>],
    recorded: &[Vec<Outcome>],
) -> (usize, usize) {
    let mut bench = Bench::new();
    let events = bed.api().audit_annotations();
    let key = |name: &str| format!("{}/{name}", healthy.webhook());
    let (mut denying, mut missed) = (0, 0);
    for (outcome, recorded) in outcomes.iter().flatten().zip(recorded.iter().flatten()) {
        let annotations = &events[&outcome.audit_id];
        let Some(expected) = recorded.review.as_ref().map(|review| bench.judge(review)) else {
            assert!(
                annotations[key("verdict")].is_null(),
                "{}: {annotations}",
                outcome.what
            );
            continue;
        };
        let Some(verdict) = annotations[key("verdict")].as_str() else {
            assert!(
                annotations.to_string().contains("failed-open"),
                "{}: {annotations}",
                outcome.what
            );
            missed += 1;
            continue;
        };
        let findings = annotations[key("findings")].as_str().unwrap_or("[]");
        let findings: Vec<Value> = serde_json::from_str(findings).unwrap();
        assert_eq!(
            verdict == "audit",
            !findings.is_empty(),
            "{}: {annotations}",
            outcome.what
        );
        assert!(
            findings.iter().all(|finding| finding["mode"] == "audit"),
            "{}: {annotations}",
            outcome.what
        );
        let rules: Vec<&str> = findings
            .iter()
            .map(|finding| finding["check"].as_str().unwrap())
            .collect();
        assert_eq!(rules, expected.rules, "{}: {annotations}", outcome.what);
        denying += expected.denying;
    }
    (denying, missed)
}

#[test]
fn two_thousand_writes_are_stored_alike_without_tidegate_and_with_it_in_every_state() {
    let bed = bed::exclusive();
    let nobody = Recorder::default();
    for number in 0..PARTS {
        bed.create_namespace(&format!("aopfree-{number}"), &[]);
    }
    let started = Instant::now();
    let free = make(&bed, "aopfree", &nobody);
    let writes: usize = free.iter().map(Vec::len).sum();
    assert!(writes >= 2_000, "{writes} writes");
    let kept = stored(&bed, "aopfree");
    let check = |state: &str, outcomes: &[Vec<Outcome>]| {
        compare(state, outcomes, &free);
        compare_stored(state, &stored(&bed, state), &kept);
        println!(
            "{state}: as without tidegate; {:?} so far",
            started.elapsed()
        );
    };

    let healthy = options(&bed, "aophealthy").start();
    let would = [("would", "deny"), ("mode", "audit")];
    let counted = || healthy.count(0, "tidegate_findings_total", &would);
    let judged = make(&bed, "aophealthy", &nobody);
    check("aophealthy", &judged);
    let while_healthy = counted();

    // These two wait more than they work.
    let recorder = Recorder::default();
    let registered = options(&bed, "aopslow").absent().start();
    let (server, late) = slow(&bed, &registered, &healthy, &recorder);
    let _dead = options(&bed, "aopdead").absent().start();
    let (asked, unasked) = std::thread::scope(|scope| {
        let unasked = scope.spawn(|| make(&bed, "aopdead", &nobody));
        (make(&bed, "aopslow", &recorder), unasked.join().unwrap())
    });
    drop(server);
    let (late, while_slow) = (late.load(Ordering::Relaxed), counted() - while_healthy);
    assert!(late >= 15, "only {late} calls were slow");
    check("aopslow", &asked);
    check("aopdead", &unasked);

    let registered = options(&bed, "aopgarbage").absent().start();
    let server = nonsense(&bed, &registered);
    check("aopgarbage", &make(&bed, "aopgarbage", &nobody));
    drop(server);

    let (denying, missed) = shown(&bed, &healthy, &judged, &asked);
    let mut bench = Bench::new();
    let all = std::mem::take(&mut recorder.lock().unwrap().all);
    let of_all: usize = all.iter().map(|review| bench.judge(review).denying).sum();
    println!(
        "{writes} writes in {PARTS} namespaces, {} objects stored; enforcing would deny by {denying} findings, \
         counted {while_healthy} while healthy; of {} reviews while slow by {of_all}, counted {while_slow}; \
         {missed} calls not answered in time while healthy, {late} while slow; {:?}",
        kept.len(),
        all.len(),
        started.elapsed()
    );
    assert!(denying > 500, "{denying}");
    assert!(
        missed * 20 < writes,
        "{missed} of {writes} calls were not answered in time"
    );
    assert!(
        missed > 0 || while_healthy >= denying,
        "the metric leaves findings out"
    );
    assert_eq!(while_slow, of_all, "the metric counts something else");
}
