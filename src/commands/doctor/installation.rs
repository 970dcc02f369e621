//! What was installed, as the chart recorded it.

use serde_json::Value;

use crate::cluster::drift::installed_configuration;
use crate::cluster::pages::Pages;
use crate::commands::cluster::{ConfigMap, Connection};

/// By this label the `ConfigMap` with the installed configuration is found.
const LABEL: &str = "tidegate.dev/config=installed";
const KEY: &str = "webhook.yaml";

/// One installation.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    /// The release's namespace.
    pub(super) namespace: String,
    /// The name that its objects have.
    pub(super) name: String,
    /// `app.kubernetes.io/version` of the chart.
    pub(super) version: String,
    /// The webhook configuration as it was rendered, or why it cannot be read.
    pub(super) webhook: Result<Value, String>,
}

/// The installations of a cluster, or of one namespace.
///
/// # Errors
/// In words, when they cannot be looked for.
pub(super) async fn find(
    connection: &Connection,
    namespace: Option<&str>,
) -> Result<Vec<Installation>, String> {
    let path = match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/configmaps"),
        None => "/api/v1/configmaps".to_owned(),
    };
    let pages = Pages::new(path).labelled(LABEL);
    let objects = pages.all(&connection.client, &connection.pace).await;
    let objects = objects.map_err(|error| {
        format!("ConfigMaps cannot be listed: {error}; name the installation's namespace with --namespace")
    })?;
    let mut found = Vec::new();
    for object in objects {
        let Ok(map) = serde_json::from_str::<ConfigMap>(object.get()) else {
            continue;
        };
        let text = map.data.unwrap_or_default().remove(KEY).unwrap_or_default();
        let webhook = installed_configuration(text.into_bytes());
        // The chart calls everything by one name, and this ConfigMap by that and -installed.
        let own = map.metadata.name.trim_end_matches("-installed").to_owned();
        let label = "app.kubernetes.io/version";
        found.push(Installation {
            name: own,
            version: map.metadata.labels.get(label).cloned().unwrap_or_default(),
            namespace: map.metadata.namespace,
            webhook: webhook.map_err(|why| format!("ConfigMap {}: {why}", map.metadata.name)),
        });
    }
    Ok(found)
}
