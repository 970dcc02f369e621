//! What a replica keeps at the API server: the Secret of the serving certificate, the Lease, the
//! `caBundle`; and the rights to do so, as the chart grants them.

use std::net::SocketAddr;

use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{Answer, Bed, Call, Direct, Tidegate};

/// The path of webhook configurations.
pub const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// The arguments of `tidegate serve` for all this.
pub(super) fn arguments(namespace: &str, webhook: &str, mode: &str) -> Vec<String> {
    [
        "--tls-secret",
        &format!("{namespace}/tidegate-tls"),
        "--tls-mode",
        mode,
        "--webhook",
        webhook,
        "--installed",
        "installed.yaml",
        "--lease",
        &format!("{namespace}/tidegate"),
        "--dns-name",
        &format!("tidegate.{namespace}.svc"),
        "--tls-settle",
        "1s",
    ]
    .iter()
    .map(ToString::to_string)
    .collect()
}

/// Makes the Lease, and grants what is needed by name. Making a Secret cannot be limited to a name.
pub(super) fn grant(bed: &Bed, namespace: &str, webhook: &str) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tidegate"},
    });
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    bed.api().must(&Call::post(leases, &lease));
    let rule = |group: &str, resource: &str, names: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": verbs});
    let mut create = rule("", "secrets", &[], &["create"]);
    create.as_object_mut().unwrap().remove("resourceNames");
    let mut events = rule("events.k8s.io", "events", &[], &["create"]);
    events.as_object_mut().unwrap().remove("resourceNames");
    let own = [
        rule(
            "coordination.k8s.io",
            "leases",
            &["tidegate"],
            &["get", "update", "patch"],
        ),
        rule(
            "",
            "secrets",
            &["tidegate-tls"],
            &["get", "list", "watch", "update"],
        ),
        create,
        events,
    ];
    let kind = "validatingwebhookconfigurations";
    let verbs = ["get", "list", "watch", "patch"];
    let all = [rule(
        "admissionregistration.k8s.io",
        kind,
        &[webhook],
        &verbs,
    )];
    let in_namespace = format!("{RBAC}/namespaces/{namespace}");
    for (path, kind, name, rules) in [
        (in_namespace.as_str(), "Role", "tidegate", json!(own)),
        (RBAC, "ClusterRole", webhook, json!(all)),
    ] {
        let plural = kind.to_lowercase();
        let granting = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"),
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tidegate"}],
        });
        bed.api()
            .must(&Call::post(format!("{path}/{plural}s"), &granting));
        bed.api()
            .must(&Call::post(format!("{path}/{plural}bindings"), &binding));
    }
}

/// One value of a Secret's data as text; empty where it is missing.
pub fn secret_text(secret: &Value, key: &str) -> String {
    let bytes: ByteString = serde_json::from_value(secret["data"][key].clone()).unwrap_or_default();
    String::from_utf8(bytes.0).unwrap()
}

/// CA certificates, DER.
pub type Bundle = Vec<CertificateDer<'static>>;

impl Tidegate<'_> {
    /// The path of the Secret.
    pub fn secret_path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/secrets/tidegate-tls",
            self.own_namespace()
        )
    }

    /// The Secret, if it exists.
    pub fn secret(&self) -> Option<Value> {
        let answer = self.bed().call(&Call::new("GET", self.secret_path()));
        answer.succeeded().then_some(answer.body)
    }

    /// Changes keys of the Secret's data; `None` takes one away.
    pub fn change_secret(&self, changes: &[(&str, Option<&str>)]) -> Answer {
        let data: serde_json::Map<String, Value> = changes
            .iter()
            .map(|(key, text)| {
                let value = text.map(|text| ByteString(text.as_bytes().to_vec()));
                ((*key).to_owned(), json!(value))
            })
            .collect();
        let call = Call::new("PATCH", self.secret_path()).body(
            "application/merge-patch+json",
            json!({"data": data}).to_string(),
        );
        self.bed().api().must(&call)
    }

    /// Who holds the Lease; empty when nobody does.
    pub fn holder(&self) -> String {
        let namespace = self.own_namespace();
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/tidegate");
        let lease = self.bed().api().must(&Call::new("GET", path)).body;
        lease["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The live webhook configuration.
    pub fn configuration(&self) -> Value {
        let path = format!("{WEBHOOKS}/{}", self.webhook());
        self.bed().api().must(&Call::new("GET", path)).body
    }

    /// Changes the webhook configuration by a JSON patch.
    pub fn patch_configuration(&self, patch: &Value) {
        let call = Call::new("PATCH", format!("{WEBHOOKS}/{}", self.webhook()))
            .body("application/json-patch+json", patch.to_string());
        self.bed().api().must(&call);
    }

    /// The CAs in the `caBundle` of the first entry; none where it is not PEM.
    pub fn ca_bundle(&self) -> Bundle {
        let value = self.configuration()["webhooks"][0]["clientConfig"]["caBundle"].clone();
        let bytes: ByteString = serde_json::from_value(value).unwrap_or_default();
        CertificateDer::pem_slice_iter(&bytes.0)
            .collect::<Result<_, _>>()
            .unwrap_or_default()
    }

    /// The CAs in `ca.crt` of the Secret.
    pub fn authorities(&self) -> Bundle {
        let pem = secret_text(&self.secret().unwrap_or_default(), "ca.crt");
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap_or_default()
    }

    /// The serving certificate in the Secret.
    pub fn stored_leaf(&self) -> Vec<u8> {
        let pem = secret_text(&self.secret().unwrap_or_default(), "tls.crt");
        CertificateDer::from_pem_slice(pem.as_bytes())
            .map(|der| der.to_vec())
            .unwrap_or_default()
    }

    /// A client that trusts what the API server trusts at this moment, for the Service's address or
    /// another.
    pub fn as_api_server(&self, address: Option<SocketAddr>) -> Direct {
        let address = address.unwrap_or(self.address());
        Direct::trusting(address, self.server_name(), self.ca_bundle())
    }
}
