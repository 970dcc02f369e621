//! The engine in process: from the bytes of a review to the bytes of its answer, and evaluation
//! alone.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use tidegate::control::Mode;
use tidegate::document::{self, Node};
use tidegate::evaluate::{evaluate, needs};
use tidegate::facts::Facts;
use tidegate::facts::declared::Declared;
use tidegate::policy::Policies;
use tidegate::policy::parse::control_policy;
use tidegate::report::answer::answer as answer_to;
use tidegate::review::Request;
use tidegate::subject::Input;

use crate::Failure;
use crate::answer::{Answers, Check};
use crate::report::Spread;
use crate::samples::{self, Sample, UID};
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

fn time(engine: &Engine, sample: &Sample) -> Result<Spread, Failure> {
    const ROUNDS: u32 = 7;
    const COUNT: u32 = 100_000;
    let input = Input::new(Request::decode(sample.body.as_bytes())?);
    let facts = engine.facts(&input);
    if !evaluate(&engine.policies, &input, &facts)
        .findings
        .is_empty()
    {
        return Err(format!("{} has findings; this is about a clean pod", sample.name).into());
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
