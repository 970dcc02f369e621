//! Changes to what is already stored: updates, subresources, deletion.

use serde_json::{Value, json};

use super::until;
use crate::bed::{self, Answer, Bed, Call, Shared, Tidegate, compliant_pod, plain_pod};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// A plain Pod `old` stored while its namespace allowed it, and the namespace then raised to restricted.
fn a_pod_from_before<'a>(bed: &'a Shared, name: &str) -> (Tidegate<'a>, String) {
    let tidegate = bed
        .tidegate(name)
        .namespace("shop", &[(ENFORCE, "privileged")])
        .start();
    let namespace = tidegate.namespace("shop");
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let mut pod = plain_pod("old");
    let amounts = json!({"cpu": "100m", "memory": "64Mi"});
    pod["spec"]["containers"][0]["resources"] = json!({"requests": amounts, "limits": amounts});
    bed.api().must(&Call::post(&pods, &pod));
    raise(bed, &namespace);
    until("the namespace's new level is in force", || {
        bed.call(&Call::post(&pods, &plain_pod("probe")).dry_run())
            .status
            == 403
    });
    (tidegate, pods)
}

fn raise(bed: &Bed, namespace: &str) -> Answer {
    let labels = json!({"metadata": {"labels": {ENFORCE: "restricted"}}});
    bed.api().must(&Call::patch(
        format!("/api/v1/namespaces/{namespace}"),
        &labels,
    ))
}

/// The four causes of a container that sets nothing.
fn causes_of_a_plain_container(container: &str) -> Vec<(String, String)> {
    [
        ("allowPrivilegeEscalation", "allowPrivilegeEscalation"),
        ("capabilities_restricted", "capabilities.drop"),
        ("runAsNonRoot", "runAsNonRoot"),
        ("seccompProfile_restricted", "seccompProfile.type"),
    ]
    .map(|(check, field)| {
        (
            format!("pod-security/{check}"),
            format!("{container}.securityContext.{field}"),
        )
    })
    .into()
}

fn causes(answer: &Answer) -> Vec<(String, String)> {
    answer
        .causes()
        .into_iter()
        .map(|(reason, field)| (reason.to_owned(), field.to_owned()))
        .collect()
}

#[test]
fn an_update_is_judged_when_it_changes_what_runs_and_only_then() {
    let bed = bed::shared();
    let (_tidegate, pods) = a_pod_from_before(&bed, "updates");
    let old = format!("{pods}/old");

    let labelled = bed.call(&Call::patch(
        &old,
        &json!({"metadata": {"labels": {"team": "shop"}}}),
    ));
    assert!(
        labelled.succeeded() && labelled.warnings.is_empty(),
        "{labelled:?}"
    );

    let image =
        json!({"spec": {"containers": [{"name": "app", "image": "registry.example/app:2"}]}});
    let changed = bed.call(&Call::patch(&old, &image));
    assert_eq!(changed.status, 403, "{}", changed.body);
    assert_eq!(
        causes(&changed),
        causes_of_a_plain_container("spec.containers[0]")
    );

    let resources = json!({"cpu": "200m", "memory": "64Mi"});
    let resize = json!({"spec": {"containers": [{
        "name": "app", "resources": {"requests": resources, "limits": resources},
    }]}});
    let resized = bed.call(&Call::patch(format!("{old}/resize"), &resize));
    assert!(
        resized.succeeded() && resized.warnings.is_empty(),
        "{resized:?}"
    );
    assert_eq!(
        resized.body["spec"]["containers"][0]["resources"]["limits"]["cpu"],
        "200m"
    );
}

#[test]
fn every_way_to_change_a_pod_is_judged_alike() {
    let bed = bed::shared();
    let (_tidegate, pods) = a_pod_from_before(&bed, "ways");
    let old = format!("{pods}/old");
    let image = "registry.example/app:2";
    let mut whole = bed.call(&Call::new("GET", &old)).body;
    whole["spec"]["containers"][0]["image"] = json!(image);
    let containers = json!({"spec": {"containers": [{"name": "app", "image": image}]}});
    let operations = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": image}]);
    let mut merged = json!({"spec": {"containers": whole["spec"]["containers"]}});
    merged["spec"]["containers"][0]["image"] = json!(image);
    let mut applied = plain_pod("old");
    applied["spec"]["containers"][0]["image"] = json!(image);

    let patch = |kind, body: &Value| Call::new("PATCH", &old).body(kind, body.to_string());
    let apply = format!("{old}?fieldManager=bed&force=true");
    let ways = [
        Call::put(&old, &whole),
        patch("application/strategic-merge-patch+json", &containers),
        patch("application/merge-patch+json", &merged),
        patch("application/json-patch+json", &operations),
        Call::new("PATCH", apply).body("application/apply-patch+yaml", applied.to_string()),
    ];
    for way in ways {
        let answer = bed.call(&way);
        assert_eq!(answer.status, 403, "{way:?}: {}", answer.body);
        let expected = causes_of_a_plain_container("spec.containers[0]");
        assert_eq!(causes(&answer), expected, "{way:?}");
    }
    // An apply that makes the Pod is a CREATE.
    let new = Call::new("PATCH", format!("{pods}/new?fieldManager=bed"));
    let created = bed.call(&new.body("application/apply-patch+yaml", plain_pod("new").to_string()));
    assert_eq!(created.status, 403, "{}", created.body);
    assert_eq!(
        causes(&created),
        causes_of_a_plain_container("spec.containers[0]")
    );
}

#[test]
fn an_ephemeral_container_is_judged_like_any_other() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("ephemeral")
        .namespace("shop", &[(ENFORCE, "restricted")])
        .start();
    let pods = format!("/api/v1/namespaces/{}/pods", tidegate.namespace("shop"));
    bed.api().must(&Call::post(&pods, &compliant_pod("web")));
    let container = compliant_pod("web")["spec"]["containers"][0].clone();
    let debug = |name: &str, security: &Value| {
        let mut container = container.clone();
        container["name"] = json!(name);
        container["securityContext"] = security.clone();
        let patch = json!({"spec": {"ephemeralContainers": [container]}});
        bed.call(&Call::patch(
            format!("{pods}/web/ephemeralcontainers"),
            &patch,
        ))
    };

    let denied = debug(
        "debugger",
        &json!({"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}),
    );
    assert_eq!(denied.status, 403, "{}", denied.body);
    let security = "spec.ephemeralContainers[0].securityContext";
    assert_eq!(
        causes(&denied),
        [
            (
                "pod-security/allowPrivilegeEscalation".to_owned(),
                format!("{security}.allowPrivilegeEscalation")
            ),
            (
                "pod-security/capabilities_restricted".to_owned(),
                format!("{security}.capabilities.add[0]")
            ),
        ]
    );

    let allowed = debug("shell", &container["securityContext"]);
    assert!(
        allowed.succeeded() && allowed.warnings.is_empty(),
        "{allowed:?}"
    );
    assert_eq!(
        allowed.body["spec"]["ephemeralContainers"][0]["name"],
        "shell"
    );
}

#[test]
fn deletion_is_never_in_the_way() {
    let bed = bed::shared();
    let (_tidegate, pods) = a_pod_from_before(&bed, "deletion");
    let deleted = bed.call(&Call::new("DELETE", format!("{pods}/old")));
    assert!(
        deleted.succeeded() && deleted.warnings.is_empty(),
        "{deleted:?}"
    );
    assert_eq!(
        bed.call(&Call::new("GET", format!("{pods}/old"))).status,
        404
    );
}

#[test]
fn raising_a_namespaces_level_names_the_pods_that_break_it() {
    let bed = bed::shared();
    let tidegate = bed
        .tidegate("raising")
        .namespace("shop", &[(ENFORCE, "privileged")])
        .start();
    let namespace = tidegate.namespace("shop");
    for pod in [plain_pod("a"), plain_pod("b"), compliant_pod("c")] {
        bed.api().must(&Call::post(
            format!("/api/v1/namespaces/{namespace}/pods"),
            &pod,
        ));
    }
    let raised = raise(&bed, &namespace);
    assert_eq!(
        raised.warnings,
        [
            "pod-security/existingPods: existing pods in namespace \"raising-shop\" violate the new \
             PodSecurity enforce level \"restricted:latest\"",
            "pod-security/existingPods: a (and 1 other pod): allowPrivilegeEscalation != false, \
             unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ]
    );
}
