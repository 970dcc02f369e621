//! `tidegate exception` on a real API server: who may approve, and what is approved.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tidegate::cluster::{Cluster, ConnectOptions, objects};

use super::people::{
    code, exception, grant, kubeconfig, report, stderr, stdout, tidegate, tidegate_in,
};
use super::until;
use crate::bed::definitions::exceptions;
use crate::bed::{self, Bed, Call, Process};

/// Those who may read and approve (alice), only read (carol), and ask (bob, who could approve too).
fn set_up(bed: &Bed, namespace: &str) {
    bed.install_definitions();
    bed.create_namespace(namespace, &[]);
    let read = json!({"apiGroups": ["tidegate.dev"], "resources": ["controlexceptions"], "verbs": ["get", "list"]});
    let approve = json!({"apiGroups": ["tidegate.dev"], "resources": ["controlexceptions/status"], "verbs": ["patch"]});
    for user in ["alice", "bob"] {
        grant(bed, namespace, user, &json!([read, approve]));
    }
    grant(bed, namespace, "carol", &json!([read]));
    let asked = Call::post(exceptions(namespace), &exception("driver"));
    bed.api().must(&asked.user("bob"));
}

fn stored(bed: &Bed, namespace: &str) -> Value {
    let path = format!("{}/driver", exceptions(namespace));
    bed.api().must(&Call::new("GET", path)).body
}

/// The state of the only exception, as carol sees it.
fn state(bed: &Bed, namespace: &str) -> String {
    let words = ["exception", "list", "--namespace", namespace, "-o", "json"];
    let output = tidegate(bed, "carol", &words);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let report = report(&output);
    assert_eq!(report["exceptions"].as_array().unwrap().len(), 1);
    report["exceptions"][0]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_exception_is_approved_by_somebody_else_as_it_stands_and_revoked() {
    let bed = bed::shared();
    let namespace = "people-approve";
    set_up(&bed, namespace);
    let name = format!("{namespace}/driver");
    let approve = |user| tidegate(&bed, user, &["exception", "approve", &name, "--yes"]);
    assert_eq!(state(&bed, namespace), "NotApproved");

    let output = approve("bob");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("asked for it and cannot approve it"));
    assert!(stored(&bed, namespace)["status"]["approval"].is_null());

    let output = approve("alice");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("is approved; state: active"));
    let shown = stderr(&output);
    for part in [
        "pod-security/privileged",
        "Pod named priv*",
        "Until the driver is replaced.",
        "team-shop",
        "bob",
        "in 29 days",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let approval = stored(&bed, namespace)["status"]["approval"].clone();
    assert_eq!(approval["approvedBy"], "alice");
    assert_eq!(approval["generation"], 1);
    assert_eq!(state(&bed, namespace), "Active");

    // Once more changes nothing.
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let before = version(&stored(&bed, namespace));
    let output = approve("alice");
    assert_eq!(code(&output), 0);
    assert!(stderr(&output).contains("approved already"));
    assert_eq!(version(&stored(&bed, namespace)), before);

    // A change of the spec takes it away; it can be approved again.
    let change = json!({"spec": {"match": {"names": ["*"]}}});
    let path = format!("{}/driver", exceptions(namespace));
    let change = Call::new("PATCH", &path).body("application/merge-patch+json", change.to_string());
    bed.api().must(&change.user("bob"));
    assert_eq!(state(&bed, namespace), "ChangedSinceApproval");
    assert_eq!(code(&approve("alice")), 0);
    assert_eq!(
        stored(&bed, namespace)["status"]["approval"]["generation"],
        2
    );
    assert_eq!(state(&bed, namespace), "Active");

    let revoke = |user| tidegate(&bed, user, &["exception", "revoke", &name]);
    assert_eq!(code(&revoke("carol")), 1);
    assert_eq!(state(&bed, namespace), "Active");
    let output = revoke("alice");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("not approved any more"));
    assert_eq!(state(&bed, namespace), "NotApproved");
    let output = revoke("alice");
    assert_eq!(code(&output), 0);
    assert!(stderr(&output).contains("it has no approval"));
}

#[test]
fn what_somebody_may_not_do_is_said_with_what_to_do() {
    let bed = bed::shared();
    let namespace = "people-rights";
    set_up(&bed, namespace);
    let name = format!("{namespace}/driver");

    let output = tidegate(&bed, "carol", &["exception", "approve", &name, "--yes"]);
    assert_eq!(code(&output), 1);
    let errors = stderr(&output);
    assert!(errors.contains("cannot patch resource"), "{errors}");
    assert!(errors.contains("kubectl auth can-i patch"), "{errors}");
    assert!(stored(&bed, namespace)["status"]["approval"].is_null());

    for words in [
        &["exception", "approve", &name, "--yes"][..],
        &["exception", "list", "--namespace", namespace],
    ] {
        let output = tidegate(&bed, "nobody", words);
        assert_eq!(code(&output), 2, "{words:?}");
        let errors = stderr(&output);
        assert!(errors.contains("cannot be read"), "{errors}");
        assert!(errors.contains("User \"nobody\" cannot"), "{errors}");
        assert_eq!(stdout(&output), "");
    }

    let missing = format!("{namespace}/absent");
    let output = tidegate(&bed, "alice", &["exception", "approve", &missing, "--yes"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("there is no ControlException"));
}

#[test]
fn what_was_changed_since_it_was_read_is_not_approved() {
    let bed = bed::shared();
    let namespace = "people-conflict";
    set_up(&bed, namespace);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = ConnectOptions {
        kubeconfig: Some(bed.kubeconfig()),
        context: None,
    };
    let (client, read) = runtime.block_on(async {
        let cluster = Cluster::connect(&options).await.unwrap();
        let client = cluster.client().clone();
        let read = objects::exception(&client, namespace, "driver").await;
        (client, read.unwrap())
    });
    let change = json!({"spec": {"controls": ["pod-security"]}});
    let path = format!("{}/driver", exceptions(namespace));
    let change = Call::new("PATCH", path).body("application/merge-patch+json", change.to_string());
    bed.api().must(&change);
    let approval = json!({"approvedBy": "alice", "approvedAt": "2026-11-21T10:00:00Z"});
    let written = objects::set_approval(&client, &read, Some(approval));
    let error = runtime.block_on(written).unwrap_err();
    assert_eq!(error.code, Some(409), "{error}");
    assert!(stored(&bed, namespace)["status"]["approval"].is_null());
}

/// Runs `approve` on a terminal of its own (`script` of util-linux makes one), does something once it
/// asks, and answers. The exit code and everything it showed.
fn answer(bed: &Bed, name: &str, once_asked: impl FnOnce(), answer: &str) -> (i32, String) {
    let kubeconfig = kubeconfig(bed, "alice", &["system:authenticated"]);
    let program = env!("CARGO_BIN_EXE_tidegate");
    let command = format!(
        "{program} exception approve {name} --kubeconfig {}",
        kubeconfig.display()
    );
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--echo",
            "never",
            "--command",
            &command,
            "/dev/null",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux (Debian: bsdutils) must be installed");
    let mut output = child.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut byte = [0];
    while !shown.ends_with(b"[y/N] ") {
        assert_eq!(
            output.read(&mut byte).unwrap(),
            1,
            "it ended without asking: {}",
            String::from_utf8_lossy(&shown)
        );
        shown.push(byte[0]);
    }
    once_asked();
    let mut input = child.stdin.take().unwrap();
    input.write_all(answer.as_bytes()).unwrap();
    output.read_to_end(&mut shown).unwrap();
    drop(input);
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8(shown).unwrap())
}

#[test]
fn on_a_terminal_it_asks_and_approves_only_what_it_showed() {
    let bed = bed::shared();
    let namespace = "people-terminal";
    set_up(&bed, namespace);
    let name = format!("{namespace}/driver");
    let approval = || stored(&bed, namespace)["status"]["approval"].clone();

    let (code, shown) = answer(&bed, &name, || (), "n\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("Until the driver is replaced."), "{shown}");
    assert!(shown.contains("nothing was approved"), "{shown}");
    assert!(approval().is_null());

    let change = || {
        let change = json!({"spec": {"controls": ["pod-security"]}});
        let path = format!("{}/driver", exceptions(namespace));
        let change =
            Call::new("PATCH", path).body("application/merge-patch+json", change.to_string());
        bed.api().must(&change.user("bob"));
    };
    let (code, shown) = answer(&bed, &name, change, "y\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("was changed meanwhile"), "{shown}");
    assert!(approval().is_null());

    let (code, shown) = answer(&bed, &name, || (), "yes\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Approve this as \"alice\"?"), "{shown}");
    assert_eq!(approval()["approvedBy"], "alice");
    assert_eq!(approval()["generation"], 2);
}

#[test]
fn a_denial_of_the_guard_is_readable() {
    let bed = bed::shared();
    let namespace = "people-guard";
    set_up(&bed, namespace);
    let name = format!("{namespace}/driver");
    let _guard = guard(&bed, namespace);
    let approve = |groups: &[&str]| {
        let words = ["exception", "approve", &name, "--yes"];
        tidegate_in(&bed, "alice", groups, &words)
    };
    let mut output = approve(&[]);
    until("the guard is asked", || {
        if code(&output) == 0 {
            tidegate(&bed, "alice", &["exception", "revoke", &name]);
            output = approve(&[]);
        }
        code(&output) == 1
    });
    let errors = stderr(&output);
    assert!(
        errors.contains("is in none of the groups that may approve"),
        "{errors}"
    );
    assert!(errors.contains("control-exception/approvedBy"), "{errors}");
    assert!(stored(&bed, namespace)["status"]["approval"].is_null());

    let output = approve(&["sre"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(
        stored(&bed, namespace)["status"]["approval"]["approvedBy"],
        "alice"
    );
}

/// tidegate as the guard of the exceptions of one namespace, under a policy by which only the group
/// sre may approve.
fn guard(bed: &Bed, namespace: &str) -> Process {
    let folder = bed.folder().join(namespace);
    std::fs::create_dir_all(&folder).unwrap();
    let policy = "{apiVersion: tidegate.dev/v1alpha1, kind: ControlPolicy, metadata: {name: strict}, \
                  spec: {exceptions: {approverGroups: [sre]}, controls: {pod-security: {}}}}";
    std::fs::write(folder.join("policy.yaml"), policy).unwrap();
    let (listen, ops) = (bed::free_address(), bed::free_address());
    let (listen_text, ops_text) = (listen.to_string(), ops.to_string());
    let arguments = [
        "serve",
        "--standalone",
        "--self-signed",
        "tls",
        "--dns-name",
        "127.0.0.1",
        "--listen",
        &listen_text,
        "--ops-listen",
        &ops_text,
        "--policy",
        "policy.yaml",
    ];
    let program = env!("CARGO_BIN_EXE_tidegate").as_ref();
    let process = Process::start("guard", &folder, program, &arguments.map(str::to_owned));
    let authority = folder.join("tls/ca.crt");
    until("the guard has its certificate", || authority.exists());
    until("the guard listens", || {
        std::net::TcpStream::connect(listen).is_ok()
    });
    let rule = json!({
        "apiGroups": ["tidegate.dev"], "apiVersions": ["v1alpha1"], "operations": ["CREATE", "UPDATE"],
        "resources": ["controlexceptions", "controlexceptions/status"],
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [{
            "name": "policies.tidegate.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "clientConfig": {
                "url": format!("https://{listen}/validate/policies"),
                "caBundle": ByteString(std::fs::read(authority).unwrap()),
            },
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    bed.api().must(&Call::post(path, &configuration));
    process
}
