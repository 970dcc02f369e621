//! Writing the Secret.

use serde_json::{Value, json};

use super::{Keeper, Stop};
use crate::cluster::certificates::content::Content;
use crate::json::tree::{at, set};

const LABEL: &str = "app.kubernetes.io/managed-by";

impl Keeper {
    /// Writes the Secret, over the one that was read.
    pub(super) async fn store(
        &self,
        before: Option<Value>,
        content: &Content,
    ) -> Result<Value, Stop> {
        let place = self.settings.secret_place();
        let owner = self.owner().await?;
        let Some(mut secret) = before else {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": {
                    "name": place.name, "namespace": self.settings.secret.namespace,
                    "labels": {LABEL: "tidegate"},
                    "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
                },
                "data": content.data(),
            });
            return Ok(self.api.create(&place.path, &secret).await?);
        };
        if *at(&secret, &["immutable"]) == true {
            return Err(Stop::Failed(format!(
                "Secret {} is immutable, so its certificates cannot be renewed; delete it and \
                 tidegate makes another",
                self.settings.secret
            )));
        }
        if let Value::Object(new) = content.data() {
            for (key, value) in new {
                set(&mut secret, &["data", &key], value);
            }
        }
        set(
            &mut secret,
            &["metadata", "labels", LABEL],
            json!("tidegate"),
        );
        if let Some(owner) = owner {
            let owners = at(&secret, &["metadata", "ownerReferences"]).as_array();
            let mut owners = owners.cloned().unwrap_or_default();
            if owners
                .iter()
                .all(|other| at(other, &["uid"]) != at(&owner, &["uid"]))
            {
                owners.push(owner);
            }
            set(&mut secret, &["metadata", "ownerReferences"], json!(owners));
        }
        Ok(self.api.replace(&place.path, &place.name, &secret).await?)
    }

    /// The reference to the Lease, so that the Secret goes when the release goes.
    async fn owner(&self) -> Result<Option<Value>, Stop> {
        let Some(lease) = &self.settings.lease else {
            return Ok(None);
        };
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            lease.namespace
        );
        let same_namespace = lease.namespace == self.settings.secret.namespace;
        let found = self.api.get(&path, &lease.name).await?;
        Ok(found.filter(|_| same_namespace).map(|found| {
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "name": lease.name, "uid": at(&found, &["metadata", "uid"]),
            })
        }))
    }
}
