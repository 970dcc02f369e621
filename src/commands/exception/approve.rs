//! `tidegate exception approve`.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::json;
use time::OffsetDateTime;

use crate::cli::Output;
use crate::cli::exception::ApproveArgs;
use crate::cluster::policies::Held;
use crate::cluster::{identity, objects};
use crate::commands::cluster::{self, Connection};
use crate::commands::{FINDINGS, OK, UNREADABLE, output};
use crate::policy::exception::{Exception, ExceptionRules, Inactive};
use crate::report::text::{json as render, time as rfc3339, visible};

use super::record::Record;
use super::text::block;

/// Exit code: it was not approved.
const NOT_APPROVED: u8 = FINDINGS;

/// Runs the command.
///
/// # Errors
/// When the exception could not be read; the text says why.
pub fn run(args: &ApproveArgs) -> Result<u8, String> {
    if !args.yes && !io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask on: give --yes once you have read what is approved (`tidegate exception list -o json` shows it)"
                .into(),
        );
    }
    let connection = cluster::connect(&args.connect)?;
    connection.runtime.block_on(approve(args, &connection))
}

async fn approve(args: &ApproveArgs, connection: &Connection) -> Result<u8, String> {
    let client = &connection.client;
    let name = &args.exception;
    let held = objects::exception(client, &name.namespace, &name.name).await;
    let held = held.map_err(|error| super::unread(name, &error))?;
    let user = identity::ask(client).await;
    let user = user.map_err(|why| format!("cannot learn your own user name: {why}"))?;
    let found = cluster::find(client, &connection.pace, Some(&name.namespace)).await;
    super::say_unread_policies(&found.unread_policies);
    let rules = super::rules(&found.in_force(), &name.namespace);
    let now = OffsetDateTime::now_utc();
    let record = Record::of_cluster(&held, &rules, now);
    show(&block(&record));
    let exception = match (&held.exception, held.problem()) {
        (Some(exception), None) => exception,
        (_, problem) => {
            let problem = problem.unwrap_or_default();
            output::say(&format!("error: it is not valid: {problem}"));
            return Ok(UNREADABLE);
        }
    };
    match against(exception, &rules, &user, now) {
        Verdict::Approved(by) => {
            output::say(&format!("it is approved already, by {by:?}"));
            print(args.output, &record, "is approved")?;
            return Ok(OK);
        }
        Verdict::Refused(why) => {
            output::say(&format!("error: {why}"));
            return Ok(NOT_APPROVED);
        }
        Verdict::Open => {}
    }
    if !args.yes && !confirmed(&user, &mut io::stdin().lock(), &mut io::stderr().lock()) {
        output::say("nothing was approved");
        return Ok(NOT_APPROVED);
    }
    write(args, connection, &held, &rules, &user).await
}

async fn write(
    args: &ApproveArgs,
    connection: &Connection,
    held: &Held,
    rules: &[ExceptionRules],
    user: &str,
) -> Result<u8, String> {
    let now = OffsetDateTime::now_utc();
    let approval = json!({
        "approvedBy": user,
        "approvedAt": rfc3339(now),
        "generation": held.generation,
    });
    match objects::set_approval(&connection.client, held, Some(approval)).await {
        Ok(stored) => {
            let record = Record::of_cluster(&stored, rules, now);
            print(args.output, &record, "is approved")?;
            Ok(OK)
        }
        Err(error) => {
            show(&format!("error: {}\n", super::refused(held, &error)));
            Ok(NOT_APPROVED)
        }
    }
}

/// What speaks against an approval before anybody is asked.
enum Verdict {
    /// Nothing.
    Open,
    /// It has one that counts, by this user.
    Approved(String),
    /// This.
    Refused(String),
}

fn against(
    exception: &Exception,
    rules: &[ExceptionRules],
    user: &str,
    now: OffsetDateTime,
) -> Verdict {
    if now >= exception.expires {
        return Verdict::Refused(
            "it has expired: whoever needs it longer asks again with a new end".into(),
        );
    }
    if exception.requested_by == user {
        return Verdict::Refused(format!(
            "{user:?} asked for it and cannot approve it: ask a colleague"
        ));
    }
    let days = (exception.expires - now).whole_days();
    // An approval of today only makes it last too long if an older one does.
    match super::active(exception, rules, now) {
        Ok(()) => {
            let by = exception.approval.as_ref().map(|approval| &approval.by);
            Verdict::Approved(by.cloned().unwrap_or_default())
        }
        Err(Inactive::TooLong) if rules.iter().all(|rules| i64::from(rules.max_days) < days) => {
            Verdict::Refused(
                "it ends later than every policy here allows: whoever asked for it chooses an earlier end"
                    .into(),
            )
        }
        Err(_) => Verdict::Open,
    }
}

/// Whether somebody says yes.
fn confirmed(user: &str, answer: &mut impl BufRead, question: &mut impl Write) -> bool {
    let _ = write!(question, "Approve this as {:?}? [y/N] ", visible(user));
    let _ = question.flush();
    let mut line = String::new();
    let read = answer.read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes" | "Yes")
}

/// Says several lines beside the result.
pub(super) fn show(text: &str) {
    for line in text.lines() {
        output::say(line);
    }
}

/// The result: the exception as it now is.
pub(super) fn print(format: Output, record: &Record, what: &str) -> Result<(), String> {
    let text = match format {
        Output::Json => render(record),
        Output::Text => {
            let name = format!("{}/{}", record.namespace, record.name);
            let state = record.state_text();
            format!("{} {what}; state: {state}\n", visible(&name))
        }
    };
    output::print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, expected) in [
            ("y\n", true),
            ("yes\n", true),
            (" Y \n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yep\n", false),
        ] {
            let mut question = Vec::new();
            let confirmed = confirmed("alice\u{1b}", &mut answer.as_bytes(), &mut question);
            assert_eq!(confirmed, expected, "{answer:?}");
            assert!(!question.contains(&0x1b), "the name moves no cursor");
        }
    }
}
