//! `tidegate check`: judges manifests.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use time::OffsetDateTime;

use crate::cli::{CheckArgs, CheckOutput, FailOn};
use crate::control::Mode;
use crate::document::defaults;
use crate::document::source::Object;
use crate::evaluate::{evaluate, needs};
use crate::facts::declared::Declared;
use crate::policy::Policies;
use crate::report::check::{CheckReport, Subject};
use crate::report::{console, junit, sarif};
use crate::subject::Input;

use super::manifest::Manifest;
use super::output::{self, Progress};
use super::{FINDINGS, OK, UNREADABLE, input, policies_of};

/// Runs the command.
///
/// # Errors
/// When nothing could be judged; the text says why.
pub fn run(args: &CheckArgs) -> Result<u8, String> {
    let stdin_named = |paths: &[_]| paths.iter().filter(|path| *path == Path::new("-")).count();
    if stdin_named(&args.paths)
        + stdin_named(&args.cluster.cluster)
        + stdin_named(&args.policies.policy)
        > 1
    {
        return Err("`-` is named more than once: standard input can be read once".into());
    }
    let mut stdin = io::stdin().lock();
    let Some(loaded) = policies_of(&args.policies, Mode::Enforce, &mut stdin) else {
        return Ok(UNREADABLE);
    };
    let cluster = input::read(&args.cluster.cluster, &mut stdin);
    let judged = input::read(&args.paths, &mut stdin);
    let mut declared = Declared::default();
    for object in cluster.objects.iter().chain(&judged.objects) {
        declared.add(&object.node, &args.namespace);
    }
    let mut report = CheckReport {
        unreadable: cluster.unreadable,
        ..CheckReport::default()
    };
    report.unreadable.extend(judged.unreadable);
    report.unreadable.iter().for_each(output::say_unreadable);
    if judged.objects.is_empty() && report.unreadable.is_empty() {
        output::say("note: there is nothing to judge in the input");
    }
    let now = args.cluster.now.unwrap_or_else(OffsetDateTime::now_utc);
    let declared = declared.at(now);
    report.subjects = judge(&loaded.policies, judged.objects, &declared, &args.namespace);
    output::print(&render(&report, args))?;
    Ok(exit_code(&report, args.fail_on))
}

fn judge(
    policies: &Policies,
    objects: Vec<Object>,
    declared: &Declared,
    namespace: &str,
) -> Vec<Subject> {
    let total = objects.len();
    let mut progress = Progress::start();
    let mut undeclared = BTreeSet::new();
    let mut subjects = Vec::with_capacity(total);
    for (index, mut object) in objects.into_iter().enumerate() {
        progress.show(|| format!("{index} of {total} objects judged"));
        defaults::apply(&mut object.node);
        let manifest = Manifest::new(&object.node, namespace);
        let input = Input::new(manifest.request());
        let needs = needs(policies, &input);
        let place = &input.request.namespace;
        if needs.namespace && !declared.declares(place) {
            undeclared.insert(place.to_string());
        }
        let verdict = evaluate(policies, &input, &declared.facts(needs, place));
        let mut subject = Subject {
            source: object.source,
            api_version: manifest.api_version.clone(),
            kind: manifest.kind.clone(),
            namespace: manifest.namespace.clone(),
            name: manifest.name.clone(),
            generate_name: manifest.generate_name.clone(),
            allowed: true,
            findings: Vec::new(),
        };
        subject.judge(&verdict, &object.node);
        subjects.push(subject);
    }
    drop(progress);
    super::say_undeclared(&undeclared);
    subjects
}

fn render(report: &CheckReport, args: &CheckArgs) -> String {
    match args.output {
        CheckOutput::Text => console::render(report, output::style()),
        CheckOutput::Json => report.json(),
        CheckOutput::Sarif => sarif::render(report),
        CheckOutput::Junit => junit::render(report, |mode| args.fail_on.fails(mode)),
    }
}

fn exit_code(report: &CheckReport, fail_on: FailOn) -> u8 {
    if !report.unreadable.is_empty() {
        UNREADABLE
    } else if report
        .findings()
        .any(|(_, entry)| fail_on.fails(entry.mode))
    {
        FINDINGS
    } else {
        OK
    }
}
