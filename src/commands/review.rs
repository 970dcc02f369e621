//! `tidegate review`: answers reviews from a file as the server would.

mod bodies;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use time::OffsetDateTime;

use crate::cli::{ReviewArgs, ReviewOutput};
use crate::control::Mode;
use crate::document::source::{Source, Unreadable};
use crate::document::{Node, Value};
use crate::evaluate::{Verdict, evaluate, needs};
use crate::facts::declared::Declared;
use crate::policy::Policies;
use crate::report::answer::answer;
use crate::report::check::{CheckReport, Subject};
use crate::report::console;
use crate::review::Request;
use crate::subject::Input;

use self::bodies::{Body, bodies};
use super::output::{self, Progress};
use super::{OK, UNREADABLE, input, policies_of};

/// Runs the command.
///
/// # Errors
/// When nothing could be answered; the text says why.
pub fn run(args: &ReviewArgs) -> Result<u8, String> {
    let dash = Path::new("-");
    let others = args.cluster.cluster.iter().chain(&args.policies.policy);
    let named = others
        .chain([&args.file])
        .filter(|path| *path == dash)
        .count();
    if named > 1 {
        return Err("`-` is named more than once: standard input can be read once".into());
    }
    let mut stdin = io::stdin().lock();
    let Some(loaded) = policies_of(&args.policies, Mode::Enforce, &mut stdin) else {
        return Ok(UNREADABLE);
    };
    let cluster = input::read(&args.cluster.cluster, &mut stdin);
    let mut declared = Declared::default();
    for object in &cluster.objects {
        declared.add(&object.node, &args.namespace);
    }
    let text = read(&args.file, &mut stdin)?;
    let name = if args.file == dash {
        input::STDIN.to_owned()
    } else {
        args.file.to_string_lossy().into_owned()
    };
    let mut session = Session {
        policies: &loaded.policies,
        declared: declared.at(args.cluster.now.unwrap_or_else(OffsetDateTime::now_utc)),
        name,
        undeclared: BTreeSet::new(),
        report: CheckReport {
            unreadable: cluster.unreadable,
            ..CheckReport::default()
        },
    };
    session
        .report
        .unreadable
        .iter()
        .for_each(output::say_unreadable);
    let bodies = bodies(&text);
    if bodies.is_empty() {
        output::say("note: there is no review in the input");
    }
    let mut progress = Progress::start();
    for (index, body) in bodies.iter().enumerate() {
        progress.show(|| format!("{index} of {} reviews answered", bodies.len()));
        session.answer(*body, args.output)?;
    }
    drop(progress);
    super::say_undeclared(&session.undeclared);
    if args.output == ReviewOutput::Text {
        output::print(&console::render(&session.report, output::style()))?;
    }
    Ok(if session.report.unreadable.is_empty() {
        OK
    } else {
        UNREADABLE
    })
}

fn read(file: &Path, stdin: &mut dyn Read) -> Result<Vec<u8>, String> {
    let name = file.to_string_lossy();
    let limit = u64::try_from(input::MAX_TOTAL_BYTES).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    let mut take =
        |reader: &mut dyn Read| reader.take(limit.saturating_add(1)).read_to_end(&mut text);
    let read = if file == Path::new("-") {
        take(stdin)
    } else {
        File::open(file).and_then(|mut file| take(&mut file))
    };
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{name}: no such file: check the path"),
        _ => format!("{name}: cannot be read: {error}"),
    })?;
    if text.len() > input::MAX_TOTAL_BYTES {
        return Err(format!(
            "{name}: larger than {} MiB: split it",
            input::MAX_TOTAL_BYTES >> 20
        ));
    }
    Ok(text)
}

/// What answering needs and finds.
struct Session<'p> {
    policies: &'p Policies,
    declared: Declared,
    /// The file, as it was named.
    name: String,
    undeclared: BTreeSet<String>,
    report: CheckReport,
}

impl Session<'_> {
    fn answer(&mut self, body: Body<'_>, output: ReviewOutput) -> Result<(), String> {
        let source = Source {
            line: u32::try_from(body.line).unwrap_or(u32::MAX),
            ..Source::file(&self.name)
        };
        let request = match Request::decode(body.bytes) {
            Ok(request) => request,
            Err(error) => {
                let unreadable = Unreadable {
                    source,
                    error: error.to_string(),
                };
                output::say_unreadable(&unreadable);
                self.report.unreadable.push(unreadable);
                return Ok(());
            }
        };
        let input = Input::new(request);
        let needs = needs(self.policies, &input);
        let place = &input.request.namespace;
        if needs.namespace && !self.declared.declares(place) {
            self.undeclared.insert(place.to_string());
        }
        let verdict = evaluate(self.policies, &input, &self.declared.facts(needs, place));
        if output == ReviewOutput::Json {
            let mut line = String::from_utf8(answer(&input, &verdict).encode())
                .map_err(|error| format!("the answer is not UTF-8: {error}"))?;
            line.push('\n');
            return output::print(&line);
        }
        self.report.subjects.push(subject(source, &input, &verdict));
        Ok(())
    }
}

fn subject(source: Source, input: &Input<'_>, verdict: &Verdict) -> Subject {
    let request = &input.request;
    let itself = request.kind.group.is_empty() && request.kind.kind == "Namespace";
    let mut subject = Subject {
        source,
        api_version: request.kind.api_version().into_owned(),
        kind: request.kind.kind.to_string(),
        namespace: if itself {
            String::new()
        } else {
            request.namespace.to_string()
        },
        name: request.name.to_string(),
        generate_name: input
            .object()
            .map(|object| object.metadata.generate_name.to_string())
            .unwrap_or_default(),
        allowed: true,
        findings: Vec::new(),
    };
    // The object stands inside a review: lines of its fields would be lines of nothing anyone wrote.
    let no_text = Node {
        value: Value::Null,
        line: 0,
    };
    subject.judge(verdict, &no_text);
    subject
}
