//! The engine in process: from the bytes of a review to the bytes of its answer, and evaluation
//! alone.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tidegate::control::Mode;
use tidegate::document::{self, Node};
use tidegate::evaluate::{evaluate, needs};
use tidegate::facts::Facts;
use tidegate::facts::declared::Declared;
use tidegate::policy::Policies;
use tidegate::policy::exception::control_exception;
use tidegate::policy::parse::control_policy;
use tidegate::report::answer::answer as answer_to;
use tidegate::review::Request;
use tidegate::subject::Input;
use time::OffsetDateTime;

use crate::Failure;
use crate::answer::{Answers, Check};
use crate::report::Spread;
use crate::samples::{self, Expect, Sample, UID};
use crate::servers::{CLUSTER, POLICY};

/// What the engine works with: the same files as the measured server.
struct Engine {
    policies: Policies,
    cluster: Declared,
}

impl Engine {
    fn load() -> Result<Self, Failure> {
        let mut list = Vec::new();
        for node in nodes(POLICY)? {
            list.push(control_policy(&node).map_err(|error| format!("{POLICY}: {error:?}"))?);
        }
        let mut cluster = Declared::default();
        for node in nodes(CLUSTER)? {
            cluster.add(&node, "default");
        }
        Ok(Engine {
            policies: Policies::new(list, Mode::Enforce),
            cluster,
        })
    }

    fn facts(&self, input: &Input<'_>) -> Facts {
        let needs = needs(&self.policies, input);
        self.cluster.facts(needs, &input.request.namespace)
    }

    fn answer(&self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let input = Input::new(Request::decode(body)?);
        let facts = self.facts(&input);
        let verdict = evaluate(&self.policies, &input, &facts);
        Ok(answer_to(&input, &verdict).encode())
    }
}

fn nodes(file: &str) -> Result<Vec<Node>, Failure> {
    let documents = document::parse(&fs::read_to_string(file)?).into_iter();
    let nodes =
        documents.map(|document| Ok(document.map_err(|error| format!("{file}: {error}"))?.node));
    nodes.collect()
}

/// Answers `sample` `count` times; the first and the last answer are checked.
pub(crate) fn answer(sample: &str, count: u64) -> Result<(), Failure> {
    let engine = Engine::load()?;
    let sample = samples::named(sample)?;
    let mut check = Check::new(Answers::Tidegate, &sample);
    let serial = UID.get(UID.len() - 12..).unwrap_or_default();
    let body = sample.body.as_bytes();
    check.answer(&engine.answer(body)?, serial)?;
    let mut last = Vec::new();
    for _ in 0..count {
        last = black_box(engine.answer(black_box(body))?);
    }
    check.answer(&last, serial)
}

/// Nanoseconds of `needs` and `evaluate` on a review that is parsed already, by number of
/// containers.
pub(crate) fn evaluation() -> Result<BTreeMap<usize, Spread>, Failure> {
    let engine = Engine::load()?;
    let mut times = BTreeMap::new();
    for (containers, name) in [(1, "pod-8k-allow"), (3, "pod-17k-allow")] {
        times.insert(containers, time(&engine, &samples::named(name)?)?);
    }
    Ok(times)
}

/// How many policies and exceptions a busy cluster has, for [`crowded`].
const POLICIES: usize = 100;
const EXCEPTIONS: usize = 1_000;

/// Nanoseconds of evaluation alone with 100 policies and 1,000 exceptions in 100 namespaces: where
/// each policy is for namespaces of its own and one for all, and where all are for all.
/// The exceptions come into play when something is found.
pub(crate) fn crowded() -> Result<[(&'static str, Spread); 3], Failure> {
    let sample = samples::named("pod-8k-allow")?;
    let bad = samples::named("pod-8k-deny")?;
    let own = |number: usize| {
        format!("include: [team-{number}, \"team-{number}-*\"], exclude: [kube-system]")
    };
    let everywhere = |_: usize| "exclude: [kube-system]".to_owned();
    Ok([
        ("each its namespaces", time(&crowd(own)?, &sample)?),
        ("each its namespaces, a denial", time(&crowd(own)?, &bad)?),
        ("all everywhere", time(&crowd(everywhere)?, &sample)?),
    ])
}

/// The engine with further policies, for these namespaces each, and exceptions.
fn crowd(namespaces: impl Fn(usize) -> String) -> Result<Engine, Failure> {
    let mut engine = Engine::load()?;
    for number in 0..POLICIES {
        let yaml = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata: {{name: p{number}}}\nspec:\n  \
             mode: enforce\n  namespaces: {{{}}}\n  \
             controls: {{pod-security: {{settings: {{default: {{enforce: restricted, warn: restricted}}, \
             minimum: {{enforce: baseline}}}}}}}}\n",
            namespaces(number)
        );
        let node = parse(&yaml)?;
        let policy = control_policy(&node).map_err(|error| format!("{error:?}"))?;
        engine.policies.list.push(policy.into());
    }
    let mut exceptions = Vec::new();
    for number in 0..EXCEPTIONS {
        // The sample's own namespace has as many as the others.
        let namespace = match number % 100 {
            0 => "shop".to_owned(),
            other => format!("team-{other}"),
        };
        let yaml = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: ControlException\nmetadata: {{name: e{number}, namespace: {namespace}}}\n\
             spec: {{controls: [pod-security/hostPorts], match: {{kinds: [Pod], names: [\"agent-{number}-*\"]}}, reason: r, owner: o,\n\
             \x20 requestedBy: bob, expires: 2030-01-01T00:00:00Z}}\n"
        );
        let exception = control_exception(&parse(&yaml)?).map_err(|error| format!("{error:?}"))?;
        exceptions.push(Arc::new(exception));
    }
    engine.policies.exceptions = exceptions.into_iter().collect();
    Ok(engine)
}

fn parse(yaml: &str) -> Result<Node, Failure> {
    let document = document::parse(yaml).into_iter().next();
    let document = document
        .ok_or("no document")?
        .map_err(|error| error.to_string())?;
    Ok(document.node)
}

fn time(engine: &Engine, sample: &Sample) -> Result<Spread, Failure> {
    const ROUNDS: u32 = 7;
    const COUNT: u32 = 100_000;
    let input = Input::new(Request::decode(sample.body.as_bytes())?);
    let mut facts = engine.facts(&input);
    facts.now = Some(OffsetDateTime::now_utc());
    let allowed = evaluate(&engine.policies, &input, &facts).allowed();
    if allowed != (sample.expect == Expect::Allowed) {
        return Err(format!("{} is not judged as it should be", sample.name).into());
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..COUNT {
            let input = black_box(&input);
            black_box(needs(&engine.policies, input));
            black_box(evaluate(&engine.policies, input, black_box(&facts)));
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT));
    }
    Ok(Spread::of(rounds))
}
