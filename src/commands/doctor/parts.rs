//! The parts of an installation, one look each.

use std::fmt::Write as _;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::certificates::bundle::Validity;
use crate::cluster::certificates::content::Content;
use crate::cluster::certificates::{bundle_of, webhook_place};
use crate::cluster::crd;
use crate::cluster::drift::{bundle_texts, discover};
use crate::cluster::{Api, lease};
use crate::commands::cluster::{self, Connection};
use crate::drift::rules::unknown;
use crate::drift::{ExpectedBundle, compare};
use crate::json::tree::at;
use crate::report::text::time;

use super::installation::Installation;
use super::{Look, State};

/// An object, or why it cannot be had.
async fn read(api: &Api, path: &str, name: &str) -> Result<Option<Value>, String> {
    api.read(path, name).await
}

/// The live webhook configuration.
pub(super) async fn webhook(api: &Api, installation: &Installation) -> Vec<Look> {
    const PART: &str = "webhook";
    let unknown_state = |why: String| vec![Look::new(PART, State::Unknown, why)];
    let installed = match &installation.webhook {
        Ok(installed) => installed,
        Err(why) => return unknown_state(why.clone()),
    };
    let place = webhook_place(&installation.name);
    let live = match read(api, &place.path, &place.name).await {
        Ok(live) => live,
        Err(why) => return unknown_state(why),
    };
    let expected = expected_bundle(api, installation, installed).await;
    let wanted = expected.as_ref().ok().and_then(Option::as_ref);
    let mut drifts = compare(installed, live.as_ref(), wanted, &bundle_texts);
    if let Some(live) = &live {
        match discover(api, live).await {
            Ok(discovered) => drifts.extend(unknown(live, &discovered)),
            Err(why) => return unknown_state(why),
        }
    }
    let wrong = |drift: &crate::drift::Drift| Look::new(PART, State::Wrong, drift.to_string());
    let mut looks: Vec<Look> = drifts.iter().map(wrong).collect();
    if let Err(why) = &expected {
        looks.extend(unknown_state(format!(
            "the caBundle cannot be compared: {why}"
        )));
    }
    if looks.is_empty() {
        let bundle = match expected {
            Ok(Some(_)) => "with the caBundle of its Secret",
            _ => "the caBundle is cert-manager's to keep",
        };
        looks.push(Look::new(
            PART,
            State::Ok,
            format!("as installed, {bundle}"),
        ));
    }
    looks
}

fn secret_name(installation: &Installation) -> String {
    format!("{}-tls", installation.name)
}

async fn secret(api: &Api, installation: &Installation) -> Result<Option<Value>, String> {
    let path = format!("/api/v1/namespaces/{}/secrets", installation.namespace);
    read(api, &path, &secret_name(installation)).await
}

/// The bundle of the Secret; none where somebody else keeps the `caBundle`.
///
/// # Errors
/// In words, when the Secret cannot be read, or holds no bundle.
async fn expected_bundle(
    api: &Api,
    installation: &Installation,
    installed: &Value,
) -> Result<Option<ExpectedBundle>, String> {
    let annotations = at(installed, &["metadata", "annotations"]);
    if annotations["cert-manager.io/inject-ca-from"].is_string() {
        return Ok(None);
    }
    let name = secret_name(installation);
    let secret = secret(api, installation).await?;
    let secret = secret.ok_or_else(|| format!("there is no Secret {name}"))?;
    let bundle = bundle_of(&secret).map_err(|why| format!("Secret {name}: {why}"))?;
    Ok(Some(ExpectedBundle {
        wanted: bundle.texts(),
        tolerated: std::collections::BTreeSet::new(),
    }))
}

/// The serving certificate and its CA.
pub(super) async fn certificate(api: &Api, installation: &Installation) -> Vec<Look> {
    const PART: &str = "certificate";
    let name = secret_name(installation);
    let content = match secret(api, installation).await {
        Ok(Some(secret)) => Content::of(&secret),
        Ok(None) => {
            let text = format!("there is no Secret {name}; with another Secret, look at that one");
            return vec![Look::new(PART, State::Unknown, text)];
        }
        Err(why) => return vec![Look::new(PART, State::Unknown, why)],
    };
    let now = api.clock().now();
    let mut looks = vec![match content.pair() {
        Ok(chain) => valid("the serving certificate", chain.first(), now),
        Err(why) => Look::new(PART, State::Wrong, format!("Secret {name}: {why}")),
    }];
    if let Ok(bundle) = content.bundle() {
        looks.push(valid("its CA", bundle.certificates().first(), now));
    }
    looks
}

fn valid(
    what: &str,
    certificate: Option<&rustls::pki_types::CertificateDer<'static>>,
    now: i64,
) -> Look {
    const PART: &str = "certificate";
    let Some(Ok(validity)) = certificate.map(Validity::of) else {
        return Look::new(PART, State::Wrong, format!("{what} cannot be read"));
    };
    let until = OffsetDateTime::from_unix_timestamp(validity.until).map(time);
    let until = until.unwrap_or_default();
    if !validity.holds(now) {
        Look::new(
            PART,
            State::Wrong,
            format!("{what} is not valid now; it is until {until}"),
        )
    } else if validity.overdue(now) {
        Look::new(
            PART,
            State::Wrong,
            format!("{what} should have been renewed; it ends on {until}"),
        )
    } else {
        Look::new(PART, State::Ok, format!("{what} is valid until {until}"))
    }
}

/// The Deployment: ready replicas, and the version of its image.
pub(super) async fn replicas(api: &Api, installation: &Installation) -> Look {
    const PART: &str = "replicas";
    let path = format!(
        "/apis/apps/v1/namespaces/{}/deployments",
        installation.namespace
    );
    let deployment = match read(api, &path, &installation.name).await {
        Ok(Some(deployment)) => deployment,
        Ok(None) => return Look::new(PART, State::Wrong, "the Deployment is missing"),
        Err(why) => return Look::new(PART, State::Unknown, why),
    };
    let number = |pointer: &str| {
        let value = deployment.pointer(pointer);
        value.and_then(Value::as_i64).unwrap_or_default()
    };
    let (wanted, ready) = (number("/spec/replicas"), number("/status/readyReplicas"));
    let image = deployment.pointer("/spec/template/spec/containers/0/image");
    let image = image.and_then(Value::as_str).unwrap_or_default();
    let mut detail = format!("{ready} of {wanted} ready, image {image}");
    let own = env!("CARGO_PKG_VERSION");
    if installation.version != own {
        let _ = write!(
            detail,
            "; the chart is of version {}, this command of {own}",
            installation.version
        );
    }
    let right = wanted > 0 && ready >= wanted && installation.version == own;
    Look::new(PART, if right { State::Ok } else { State::Wrong }, detail)
}

/// Who leads.
pub(super) async fn lease(api: &Api, installation: &Installation) -> Look {
    const PART: &str = "lease";
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
        installation.namespace
    );
    let lease = match read(api, &path, &installation.name).await {
        Ok(Some(lease)) => lease,
        Ok(None) => return Look::new(PART, State::Wrong, "the Lease is missing"),
        Err(why) => return Look::new(PART, State::Unknown, why),
    };
    let text = |key: &str| {
        at(&lease, &["spec", key])
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (holder, renewed) = (text("holderIdentity"), text("renewTime"));
    let now = api.clock().now();
    let age = OffsetDateTime::parse(&renewed, &Rfc3339)
        .map(|renewed| now.saturating_sub(renewed.unix_timestamp()));
    match age {
        _ if holder.is_empty() => Look::new(PART, State::Wrong, "nobody leads"),
        Ok(age) if age <= i64::try_from(lease::DURATION.as_secs()).unwrap_or(i64::MAX) => {
            Look::new(
                PART,
                State::Ok,
                format!("{holder} leads, renewed {age} s ago"),
            )
        }
        _ => Look::new(
            PART,
            State::Wrong,
            format!("{holder} led and does not renew; last on {renewed}"),
        ),
    }
}

/// The definitions of our kinds.
pub(super) async fn definitions(api: &Api) -> Vec<Look> {
    const PART: &str = "definitions";
    const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut looks = Vec::new();
    for (_, ours) in crd::definitions() {
        let name = at(&ours, &["metadata", "name"])
            .as_str()
            .unwrap_or_default();
        let schema = |definition: &Value| definition.pointer("/spec/versions/0/schema").cloned();
        looks.push(match read(api, PATH, name).await {
            Ok(Some(live)) if same(schema(&live).as_ref(), schema(&ours).as_ref()) => {
                Look::new(PART, State::Ok, format!("{name} is this version's"))
            }
            Ok(Some(_)) => Look::new(
                PART,
                State::Wrong,
                format!("{name} has another schema than this version's; upgrade the chart with crds.install"),
            ),
            Ok(None) => Look::new(PART, State::Wrong, format!("{name} is missing")),
            Err(why) => Look::new(PART, State::Unknown, why),
        });
    }
    looks
}

/// Whether two schemas are the same. The API server answers with 1 where 1.0 was sent.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| same(Some(one), Some(other)))
        }
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut entries = one.iter();
            one.len() == other.len() && entries.all(|(key, one)| same(Some(one), other.get(key)))
        }
        (one, other) => one == other,
    }
}

/// Policies that are not valid or open.
pub(super) async fn policies(connection: &Connection) -> Vec<Look> {
    const PART: &str = "policies";
    let found = cluster::find(&connection.client, &connection.pace, None).await;
    let mut looks: Vec<Look> = Vec::new();
    let unread = found.unread_policies.iter().chain(&found.unread_exceptions);
    looks.extend(unread.map(|why| Look::new(PART, State::Wrong, why)));
    let now = OffsetDateTime::now_utc();
    for policy in &found.policies {
        if policy.is_open(Some(now))
            && let Some(opened) = &policy.opened
        {
            let until = time(opened.until);
            let text = format!("{} is opened by break-glass until {until}", policy.name);
            looks.push(Look::new(PART, State::Wrong, text));
        }
    }
    if looks.is_empty() {
        let text = format!(
            "{} policies and {} exceptions, all valid",
            found.policies.len(),
            found.exceptions.len()
        );
        looks.push(Look::new(PART, State::Ok, text));
    }
    looks
}
