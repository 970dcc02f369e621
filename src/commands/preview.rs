//! `tidegate preview`: what enforcing would block in a cluster now.
//!
//! Everything that runs is judged as if it were created anew. A pod counts for the workload it
//! belongs to, so that a Deployment of fifty pods is one subject: what its pods would be denied for
//! is what it would be blocked by. A workload without pods counts by its template.

mod judge;
mod offenders;
mod owners;
mod render;
mod tally;
mod walk;

use std::collections::BTreeMap;
use std::io;

use kube::core::Request;
use kube::core::params::GetParams;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::cli::{Output, PolicyArgs, PreviewArgs};
use crate::cluster::pages::{Pages, ReadError};
use crate::control::Mode;
use crate::facts::Labels;
use crate::policy::Policies;

use super::cluster::{self, Connection};
use super::policies::load;
use super::{OK, UNREADABLE, output};

use judge::Judge;
use tally::Tally;

/// Runs the command.
///
/// # Errors
/// When nothing could be judged; the text says why.
pub fn run(args: &PreviewArgs) -> Result<u8, String> {
    let given = if args.policy.is_empty() && args.preset.is_empty() {
        None
    } else {
        let options = PolicyArgs {
            policy: args.policy.clone(),
            preset: args.preset.clone(),
        };
        let loaded = super::policies_of(&options, Mode::Enforce, &mut io::stdin().lock());
        let Some(loaded) = loaded else {
            return Ok(UNREADABLE);
        };
        Some(loaded.policies)
    };
    let connection = cluster::connect(&args.connect)?;
    connection
        .runtime
        .block_on(preview(args, &connection, given))
}

async fn preview(
    args: &PreviewArgs,
    connection: &Connection,
    given: Option<Policies>,
) -> Result<u8, String> {
    let mut unread = Vec::new();
    let policies = match given {
        Some(policies) => policies,
        None => of_cluster(args, connection, &mut unread).await?,
    };
    let names: Vec<&str> = policies.list.iter().map(|policy| &*policy.name).collect();
    output::say(&format!("policies: {}", names.join(", ")));
    let namespaces = namespaces(args, connection).await.map_err(|why| {
        format!("namespaces cannot be read, and without their labels nothing can be judged: {why}")
    })?;
    let now = args.now.unwrap_or_else(OffsetDateTime::now_utc);
    let mut tally = Tally::new(args.only);
    let judge = Judge::new(policies, now);
    for (name, namespace) in &namespaces {
        tally.namespace(name, judge.controls(name, &namespace.labels));
        tally.take_namespace(name, judge.namespace(name, namespace));
    }
    unread.extend(walk::all(args, connection, &judge, &namespaces, &mut tally).await);
    for why in &unread {
        output::say(&format!("error: {why}"));
    }
    let report = tally.finish(unread);
    let text = match args.output {
        Output::Text => render::text(&report, args.only, output::style()),
        Output::Json => render::json(&report),
    };
    output::print(&text)?;
    Ok(if report.unreadable.is_empty() {
        OK
    } else {
        UNREADABLE
    })
}

/// The policies and exceptions of the cluster; the default preset where there is no policy.
async fn of_cluster(
    args: &PreviewArgs,
    connection: &Connection,
    unread: &mut Vec<String>,
) -> Result<Policies, String> {
    let (client, pace) = (&connection.client, &connection.pace);
    let found = cluster::find(client, pace, args.namespace.as_deref()).await;
    for held in &found.exceptions {
        if let Some(problem) = held.problem() {
            unread.push(format!(
                "ControlException {}/{} is not valid: {problem}",
                held.key.namespace, held.key.name
            ));
        }
    }
    unread.extend(found.unread_policies.iter().cloned());
    unread.extend(found.unread_exceptions.clone());
    let policies = found.in_force();
    if !policies.list.is_empty() {
        return Ok(policies);
    }
    output::say("note: no policy was found in the cluster; judged by the preset recommended");
    let preset = load(&[], &[], Mode::Enforce, &mut io::empty());
    let preset = preset.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })?;
    Ok(Policies {
        list: preset.policies.list,
        ..policies
    })
}

/// A namespace of the cluster.
struct Namespace {
    labels: Labels,
    json: Box<str>,
}

/// The namespaces to be judged, by name.
async fn namespaces(
    args: &PreviewArgs,
    connection: &Connection,
) -> Result<BTreeMap<String, Namespace>, String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
        #[serde(default)]
        labels: Option<BTreeMap<String, String>>,
    }
    let (client, pace) = (&connection.client, &connection.pace);
    let objects = if let Some(name) = &args.namespace {
        // Somebody with rights in one namespace only may still read that.
        vec![namespace(connection, name).await?]
    } else {
        let all = Pages::new("/api/v1/namespaces").all(client, pace).await;
        all.map_err(|error| error.to_string())?
    };
    let mut namespaces = BTreeMap::new();
    for json in objects {
        let object: Object = serde_json::from_str(json.get()).map_err(|error| error.to_string())?;
        let namespace = Namespace {
            labels: object
                .metadata
                .labels
                .unwrap_or_default()
                .into_iter()
                .collect(),
            json: json.get().into(),
        };
        namespaces.insert(object.metadata.name, namespace);
    }
    Ok(namespaces)
}

async fn namespace(connection: &Connection, name: &str) -> Result<Box<RawValue>, String> {
    connection.pace.wait().await;
    let request = Request::new("/api/v1/namespaces")
        .get(name, &GetParams::default())
        .map_err(|error| error.to_string())?;
    let object = connection.client.request(request).await;
    object.map_err(|error| ReadError::from(error).to_string())
}
