//! `tidegate doctor`: compares the live installation with what was installed.
//!
//! What was installed is what the chart left in the `ConfigMap` of its webhook configuration. What
//! cannot be looked at is said as that, never as well: an API server that keeps something from the
//! caller does not make it right.

mod installation;
mod parts;
mod rights;

use serde::Serialize;

use crate::cli::{DoctorArgs, Output};
use crate::cluster::Api;
use crate::policy::API_VERSION;
use crate::report::text;

use super::{FINDINGS, OK, UNREADABLE, cluster, output, table};

use installation::Installation;

/// How something was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Different from what was installed, or broken.
    Wrong,
    /// It could not be looked at.
    Unknown,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Wrong => "WRONG",
            State::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Look {
    /// What: webhook, certificate, replicas, lease, definitions, rights, policies.
    pub(super) part: &'static str,
    /// How it was found.
    pub(super) state: State,
    /// In words.
    pub(super) detail: String,
}

impl Look {
    pub(super) fn new(part: &'static str, state: State, detail: impl Into<String>) -> Look {
        Look {
            part,
            state,
            detail: detail.into(),
        }
    }
}

/// An installation and what was found of it.
#[derive(Debug, Serialize)]
struct Examined {
    namespace: String,
    name: String,
    looks: Vec<Look>,
}

/// Runs the command.
///
/// # Errors
/// When nothing could be looked at; the text says why.
pub fn run(args: &DoctorArgs) -> Result<u8, String> {
    let connection = cluster::connect(&args.connect)?;
    let api = Api::new(connection.client.clone());
    let examined = connection.runtime.block_on(async {
        let found = installation::find(&connection, args.namespace.as_deref()).await?;
        let mut examined = Vec::new();
        for installation in found {
            examined.push(examine(&api, &connection, &installation).await);
        }
        Ok::<_, String>(examined)
    })?;
    if examined.is_empty() {
        return Err(
            "no installation was found: no ConfigMap has the label tidegate.dev/config=installed, \
             which the chart gives; name its namespace with --namespace where you may not list them all"
                .to_owned(),
        );
    }
    output::print(&match args.output {
        Output::Text => render(&examined),
        Output::Json => json(&examined),
    })?;
    let states = || {
        examined
            .iter()
            .flat_map(|one| &one.looks)
            .map(|look| look.state)
    };
    Ok(if states().any(|state| state == State::Wrong) {
        FINDINGS
    } else if states().any(|state| state == State::Unknown) {
        UNREADABLE
    } else {
        OK
    })
}

async fn examine(
    api: &Api,
    connection: &cluster::Connection,
    installation: &Installation,
) -> Examined {
    let mut looks = parts::webhook(api, installation).await;
    looks.extend(parts::certificate(api, installation).await);
    looks.push(parts::replicas(api, installation).await);
    looks.push(parts::lease(api, installation).await);
    looks.extend(parts::definitions(api).await);
    looks.push(rights::look(api, installation).await);
    looks.extend(parts::policies(connection).await);
    Examined {
        namespace: installation.namespace.clone(),
        name: installation.name.clone(),
        looks,
    }
}

fn render(examined: &[Examined]) -> String {
    let mut out = String::new();
    for one in examined {
        let title = format!("tidegate {} in namespace {}", one.name, one.namespace);
        out.push_str(&text::visible(&title));
        out.push('\n');
        let rows: Vec<Vec<String>> = one
            .looks
            .iter()
            .map(|look| {
                vec![
                    format!("  {}", look.part),
                    look.state.as_str().to_owned(),
                    text::visible(&look.detail).into_owned(),
                ]
            })
            .collect();
        out.push_str(&table::columns(&rows));
    }
    out
}

fn json(examined: &[Examined]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Report<'r> {
        api_version: &'static str,
        kind: &'static str,
        version: &'static str,
        installations: &'r [Examined],
    }
    text::json(&Report {
        api_version: API_VERSION,
        kind: "DoctorReport",
        version: env!("CARGO_PKG_VERSION"),
        installations: examined,
    })
}
