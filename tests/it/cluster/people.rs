//! What the tests of people's commands share: users, and the command itself.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::bed::{Bed, Call};

/// Lets a user do something in one namespace: `rules` as in a Role.
pub(super) fn grant(bed: &Bed, namespace: &str, user: &str, rules: &Value) {
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": user}, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    bed.api().must(&Call::post(format!("{rbac}/roles"), &role));
    bed.api()
        .must(&Call::post(format!("{rbac}/rolebindings"), &binding));
}

/// Tests run side by side, and none may read the kubeconfig that another is writing.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// A kubeconfig by which an administrator acts as `user` in these groups.
pub(super) fn kubeconfig(bed: &Bed, user: &str, groups: &[&str]) -> PathBuf {
    let text = std::fs::read_to_string(bed.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = json!(user);
    config["users"][0]["user"]["as-groups"] = json!(groups);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let path = bed.folder().join(format!("{user}-{number}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// Runs tidegate as `user`.
pub(super) fn tidegate(bed: &Bed, user: &str, words: &[&str]) -> Output {
    tidegate_in(bed, user, &["system:authenticated"], words)
}

/// Runs tidegate as `user` in these groups.
pub(super) fn tidegate_in(bed: &Bed, user: &str, groups: &[&str], words: &[&str]) -> Output {
    let groups = [&["system:authenticated"][..], groups].concat();
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(words)
        .arg("--kubeconfig")
        .arg(kubeconfig(bed, user, &groups))
        .env_clear()
        .output()
        .unwrap()
}

pub(super) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(super) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(super) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Standard output as JSON.
pub(super) fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}\n{}", stdout(output), stderr(output)))
}

/// An exception that `bob` asks for; it ends in 30 days.
pub(super) fn exception(name: &str) -> Value {
    let end = time::OffsetDateTime::now_utc() + time::Duration::days(30);
    let end = end.replace_nanosecond(0).unwrap();
    let end = end
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ControlException", "metadata": {"name": name},
        "spec": {
            "controls": ["pod-security/privileged"],
            "match": {"kinds": ["Pod"], "names": ["priv*"]},
            "reason": "Until the driver is replaced.",
            "owner": "team-shop",
            "requestedBy": "bob",
            "expires": end,
        },
    })
}
