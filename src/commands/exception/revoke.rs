//! `tidegate exception revoke`.

use time::OffsetDateTime;

use crate::cli::exception::RevokeArgs;
use crate::cluster::objects;
use crate::commands::cluster::{self, Connection};
use crate::commands::{FINDINGS, OK, output};
use crate::json::tree::at;
use crate::policy::exception::ExceptionRules;

use super::approve::{print, show};
use super::record::Record;

/// Runs the command. It needs no confirmation: what is revoked can be approved again.
///
/// # Errors
/// When the exception could not be read; the text says why.
pub fn run(args: &RevokeArgs) -> Result<u8, String> {
    let connection = cluster::connect(&args.connect)?;
    connection.runtime.block_on(revoke(args, &connection))
}

async fn revoke(args: &RevokeArgs, connection: &Connection) -> Result<u8, String> {
    let client = &connection.client;
    let name = &args.exception;
    let held = objects::exception(client, &name.namespace, &name.name).await;
    let held = held.map_err(|error| super::unread(name, &error))?;
    let record = |held| {
        let now = OffsetDateTime::now_utc();
        Record::of_cluster(held, &[ExceptionRules::default()], now)
    };
    if at(&held.status, &["approval"]).is_null() {
        output::say("it has no approval");
        print(args.output, &record(&held), "is not approved")?;
        return Ok(OK);
    }
    match objects::set_approval(client, &held, None).await {
        Ok(stored) => {
            print(args.output, &record(&stored), "is not approved any more")?;
            Ok(OK)
        }
        Err(error) => {
            show(&format!("error: {}\n", super::refused(&held, &error)));
            Ok(FINDINGS)
        }
    }
}
