//! `tidegate exception list`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::cli::Output;
use crate::cli::exception::ListArgs;
use crate::commands::policies::{PolicyError, Written, read_policy};
use crate::commands::{OK, UNREADABLE, cluster, input, output};
use crate::control::Mode;
use crate::policy::exception::Exception;
use crate::policy::{API_VERSION, Policies};
use crate::report::text::json;

use super::record::Record;
use super::text::table;

/// Runs the command.
///
/// # Errors
/// When nothing could be listed; the text says why.
pub fn run(args: &ListArgs) -> Result<u8, String> {
    let now = args.now.unwrap_or_else(OffsetDateTime::now_utc);
    let (mut records, code) = if args.policy.is_empty() {
        of_cluster(args, now)?
    } else {
        of_files(args, now)
    };
    if let Some(namespace) = &args.namespace {
        records.retain(|record| record.namespace == *namespace);
    }
    // What ends first is what somebody has to look at first.
    records.sort_by(|one, other| {
        let key = |record: &Record| {
            let end = record.spec.as_ref().map(|spec| spec.expires_in);
            (record.namespace.clone(), end, record.name.clone())
        };
        key(one).cmp(&key(other))
    });
    let text = match args.output {
        Output::Text => table(&records),
        Output::Json => report(&records),
    };
    output::print(&text)?;
    Ok(code)
}

fn report(records: &[Record]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Report<'r> {
        api_version: &'static str,
        kind: &'static str,
        exceptions: &'r [Record],
    }
    json(&Report {
        api_version: API_VERSION,
        kind: "ExceptionReport",
        exceptions: records,
    })
}

fn of_cluster(args: &ListArgs, now: OffsetDateTime) -> Result<(Vec<Record>, u8), String> {
    let connection = cluster::connect(&args.connect)?;
    let (client, pace) = (&connection.client, &connection.pace);
    let namespace = args.namespace.as_deref();
    let found = cluster::find(client, pace, namespace);
    let found = connection.runtime.block_on(found);
    if let Some(why) = found.unread_exceptions {
        return Err(why);
    }
    super::say_unread_policies(&found.unread_policies);
    let policies = found.in_force();
    let mut code = OK;
    let mut records = Vec::new();
    for held in &found.exceptions {
        let rules = super::rules(&policies, &held.key.namespace);
        let record = Record::of_cluster(held, &rules, now);
        if let Some(problem) = &record.problem {
            code = UNREADABLE;
            output::say(&format!(
                "error: ControlException {}/{}: {problem}",
                record.namespace, record.name
            ));
        }
        records.push(record);
    }
    Ok((records, code))
}

/// The exceptions of files, judged by the policies of these files. What cannot be read is said.
fn of_files(args: &ListArgs, now: OffsetDateTime) -> (Vec<Record>, u8) {
    let read = input::read(&args.policy, &mut io::stdin().lock());
    let mut errors: Vec<PolicyError> = read.unreadable.into_iter().map(PolicyError::from).collect();
    let mut policies = Vec::new();
    let mut exceptions: Vec<(Arc<Exception>, Value)> = Vec::new();
    let mut known = HashMap::new();
    for object in &read.objects {
        let written = match read_policy(object) {
            Ok(written) => written,
            Err(mut problems) => {
                errors.append(&mut problems);
                continue;
            }
        };
        if let Some(first) = known.insert(written.title(), &object.source) {
            errors.push(PolicyError::taken(&object.source, &written, first));
            continue;
        }
        match written {
            Written::Policy(policy) => policies.push(policy),
            Written::Exception(exception) => {
                let value = serde_json::from_str(&object.node.to_json()).unwrap_or_default();
                exceptions.push((Arc::new(exception), value));
            }
        }
    }
    for error in &errors {
        output::say(&format!("error: {error}"));
    }
    let policies = Policies::new(policies, Mode::Enforce);
    let records = exceptions.iter().map(|(exception, value)| {
        let rules = super::rules(&policies, &exception.namespace);
        Record::of_file(exception, value, &rules, now)
    });
    let code = if errors.is_empty() { OK } else { UNREADABLE };
    (records.collect(), code)
}
