//! The `ValidatingWebhookConfiguration` of one tidegate, as the chart registers it, but for some
//! namespaces only.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// The kinds that hold pod templates, as `(path of the API, resource)`.
pub const TEMPLATE_RESOURCES: [(&str, &str); 8] = [
    ("/api/v1", "replicationcontrollers"),
    ("/api/v1", "podtemplates"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "replicasets"),
    ("/apis/apps/v1", "statefulsets"),
    ("/apis/apps/v1", "daemonsets"),
    ("/apis/batch/v1", "jobs"),
    ("/apis/batch/v1", "cronjobs"),
];

/// Where a webhook leads and for whom.
#[derive(Debug)]
pub struct Registration<'a> {
    /// The name of the webhook, a domain name.
    pub webhook: &'a str,
    /// The namespace of the Service `tidegate`.
    pub service_namespace: &'a str,
    /// The Service's port.
    pub port: u16,
    /// The namespaces that are judged, by name, whether they exist yet or not; else all.
    pub namespaces: Option<&'a Vec<String>>,
    /// `Fail` or `Ignore`.
    pub failure_policy: &'a str,
    /// The authority of the server's certificate, PEM; none where tidegate writes it.
    pub authority: Option<&'a str>,
    /// How many seconds the API server waits for an answer.
    pub timeout: u8,
    /// With what the names of policies, and of the namespaces of exceptions, begin that are judged;
    /// none are without.
    pub own_objects: Option<&'a str>,
}

impl Registration<'_> {
    /// The configuration object.
    pub fn configuration(&self) -> Value {
        let guard = self.own_objects.map(|prefix| self.guard(prefix));
        let webhooks: Vec<Value> = std::iter::once(self.controls()).chain(guard).collect();
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self.webhook},
            "webhooks": webhooks,
        })
    }

    fn controls(&self) -> Value {
        let mut entry = self.entry(self.webhook, "/validate", self.failure_policy);
        entry["timeoutSeconds"] = json!(self.timeout);
        entry["namespaceSelector"] = json!({"matchExpressions": self.selectors()});
        entry["rules"] = json!([
            rule(
                "",
                &[
                    "pods",
                    "pods/ephemeralcontainers",
                    "pods/resize",
                    "namespaces"
                ]
            ),
            rule("", &["replicationcontrollers", "podtemplates"]),
            rule(
                "apps",
                &["deployments", "replicasets", "statefulsets", "daemonsets"]
            ),
            rule("batch", &["jobs", "cronjobs"]),
        ]);
        entry
    }

    /// The entry for tidegate's own objects. In a cluster it matches all of them; here every test
    /// has a tidegate, each of which judges only those of its test.
    fn guard(&self, prefix: &str) -> Value {
        let name = format!("policies.{}", self.webhook);
        let mut entry = self.entry(&name, "/validate/policies", "Fail");
        let mut rule = rule(
            "tidegate.dev",
            &[
                "controlpolicies",
                "controlpolicies/status",
                "controlexceptions",
                "controlexceptions/status",
            ],
        );
        rule["apiVersions"] = json!(["v1alpha1"]);
        entry["rules"] = json!([rule]);
        entry["matchConditions"] = json!([{"name": "of-this-test", "expression": format!(
            "(has(object.metadata.namespace) ? object.metadata.namespace : object.metadata.name).startsWith('{prefix}')"
        )}]);
        entry
    }

    fn entry(&self, name: &str, path: &str, failure_policy: &str) -> Value {
        let mut entry = json!({
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": {
                "service": {
                    "namespace": self.service_namespace, "name": "tidegate", "port": self.port, "path": path,
                },
            },
            "failurePolicy": failure_policy,
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": 3,
        });
        if let Some(authority) = self.authority {
            entry["clientConfig"]["caBundle"] = json!(ByteString(authority.as_bytes().to_vec()));
        }
        entry
    }

    /// The system's namespaces and tidegate's own are left out by a label that the API server sets.
    fn selectors(&self) -> Vec<Value> {
        let excluded = json!(["kube-system", "kube-node-lease", self.service_namespace]);
        let mut selectors = vec![name_selector("NotIn", &excluded)];
        selectors.extend(
            self.namespaces
                .map(|names| name_selector("In", &json!(names))),
        );
        selectors
    }
}

fn name_selector(operator: &str, names: &Value) -> Value {
    json!({"key": "kubernetes.io/metadata.name", "operator": operator, "values": names})
}

fn rule(group: &str, resources: &[&str]) -> Value {
    json!({
        "apiGroups": [group], "apiVersions": ["v1"], "resources": resources,
        "operations": ["CREATE", "UPDATE"], "scope": "*",
    })
}
