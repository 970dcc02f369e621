//! Writing the `caBundle`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Keeper, Stop};
use crate::cluster::certificates::bundle::Bundle;
use crate::cluster::certificates::content::Content;
use crate::cluster::certificates::trust::entries;
use crate::cluster::certificates::webhook_place;
use crate::cluster::wire::code;
use crate::json::tree::at;

/// How often a `caBundle` is written within [`FIGHT`] before somebody else is left to it for a
/// while: two writers must not busy the API server.
const WRITES: usize = 10;
const FIGHT: Duration = Duration::from_secs(10);

impl Keeper {
    /// Makes the `caBundle` of every entry what it should be.
    pub(super) async fn keep_bundle(&mut self, content: &Content) -> Result<(), Stop> {
        let Some(webhook) = self.settings.webhook.clone() else {
            return Ok(());
        };
        let mut wanted = content
            .bundle()
            .map_err(|problem| format!("Secret {}: {problem}", self.settings.secret))?;
        let now = Instant::now();
        for one in self.lingering.past(self.settings.linger, now) {
            wanted.add(one.clone());
        }
        let place = webhook_place(&webhook);
        let Some(configuration) = self.api.get(&place.path, &place.name).await? else {
            return Ok(());
        };
        let patch = bundle_patch(&configuration, &wanted);
        if patch.is_empty() {
            self.kept = Some(wanted);
            return Ok(());
        }
        self.writes.retain(|at| now.duration_since(*at) < FIGHT);
        let heal = self.kept.as_ref().is_some_and(|kept| kept.same(&wanted));
        if heal && self.writes.len() >= WRITES {
            return Err(Stop::Failed(format!(
                "somebody else keeps writing the caBundle of {webhook}; find out who from its \
                 managedFields"
            )));
        }
        self.writes.push(now);
        let patched = self
            .api
            .json_patch(&place.path, &place.name, &json!(patch))
            .await;
        match patched {
            // A test failed: an entry came, went or moved in between.
            Err(error) if code(&error) == Some(422) => return Err(Stop::Conflict),
            patched => patched?,
        };
        self.metrics.upkeep().bundle_written(heal);
        tracing::info!(
            webhook,
            heal,
            entries = patch.len() / 2,
            "wrote the caBundle"
        );
        self.kept = Some(wanted);
        Ok(())
    }
}

/// The patch that gives every entry this bundle; empty when every one has it. An entry is told by its
/// name, since its place in the list may change.
fn bundle_patch(configuration: &Value, wanted: &Bundle) -> Vec<Value> {
    let mut patch = Vec::new();
    for (index, entry) in entries(configuration).enumerate() {
        let has = Bundle::of_ca_bundle(at(entry, &["clientConfig", "caBundle"]));
        if has.is_ok_and(|has| has.same(wanted)) {
            continue;
        }
        patch.push(json!({
            "op": "test", "path": format!("/webhooks/{index}/name"), "value": entry["name"],
        }));
        patch.push(json!({
            "op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"),
            "value": wanted.to_ca_bundle(),
        }));
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::certificates::plan::{Lives, WithLeaf};

    #[test]
    fn only_entries_that_differ_are_patched_and_each_is_told_by_its_name() {
        let names = ["tidegate.tg.svc".to_owned()];
        let content = Content::default()
            .with_authority(WithLeaf::Make, &names, Lives::default(), 1_800_000_000)
            .unwrap();
        let wanted = content.bundle().unwrap();
        let configuration = json!({"webhooks": [
            {"name": "a", "clientConfig": {"caBundle": wanted.to_ca_bundle()}},
            {"name": "b", "clientConfig": {}},
            {"name": "c", "clientConfig": {"caBundle": "Cg=="}},
            {"name": "d", "clientConfig": {"caBundle": "no Base64!"}},
        ]});
        let patch = bundle_patch(&configuration, &wanted);
        let paths: Vec<_> = patch
            .iter()
            .map(|op| (op["op"].as_str().unwrap(), op["path"].as_str().unwrap()))
            .collect();
        assert_eq!(
            paths,
            [
                ("test", "/webhooks/1/name"),
                ("add", "/webhooks/1/clientConfig/caBundle"),
                ("test", "/webhooks/2/name"),
                ("add", "/webhooks/2/clientConfig/caBundle"),
                ("test", "/webhooks/3/name"),
                ("add", "/webhooks/3/clientConfig/caBundle"),
            ]
        );
        assert_eq!(patch[0]["value"], "b");
        let written = Bundle::of_ca_bundle(&patch[1]["value"]).unwrap();
        assert!(written.same(&wanted));
    }
}
