//! The API server's defaulting as far as it changes results, for objects no API server has seen.
//!
//! From `SetDefaults_Volume` and `SetDefaults_Pod` of kubernetes `pkg/apis/core/v1/defaults.go`.

use super::{Node, Value};
use crate::subject::Shape;

/// Fills in what the API server would:
/// - a volume without a source, in Pods and in templates, is an `emptyDir`. A volume with a source
///   tidegate does not know stays as it is, so that checks see it;
/// - in Pods with `hostNetwork: true`, and not in templates, ports of containers and init
///   containers without a `hostPort` take their `containerPort`.
pub fn apply(object: &mut Node) {
    let text = |key| object.get(key).and_then(Node::as_str).unwrap_or_default();
    let shape = Shape::of(text("apiVersion"), text("kind"));
    let path: &[&str] = match shape {
        Shape::Pod => &["spec"],
        Shape::Workload { .. } => &["spec", "template", "spec"],
        Shape::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
        Shape::PodTemplate => &["template", "spec"],
        Shape::Namespace | Shape::Other => return,
    };
    let mut node = object;
    for key in path {
        let Some(next) = node.get_mut(key) else {
            return;
        };
        node = next;
    }
    volumes(node);
    if shape == Shape::Pod
        && node
            .get("hostNetwork")
            .is_some_and(|node| node.value == Value::Bool(true))
    {
        host_ports(node);
    }
}

fn volumes(spec: &mut Node) {
    let Some(volumes) = spec.get_mut("volumes") else {
        return;
    };
    for volume in volumes.elements_mut() {
        let Value::Map(entries) = &volume.value else {
            continue;
        };
        if entries
            .iter()
            .all(|(key, value)| key == "name" || value.value == Value::Null)
        {
            let empty = Node {
                value: Value::Map(Vec::new()),
                line: volume.line,
            };
            volume.set("emptyDir", empty);
        }
    }
}

fn host_ports(spec: &mut Node) {
    for list in ["containers", "initContainers"] {
        let Some(containers) = spec.get_mut(list) else {
            continue;
        };
        for container in containers.elements_mut() {
            let Some(ports) = container.get_mut("ports") else {
                continue;
            };
            for port in ports.elements_mut() {
                let unset = match port.get("hostPort").map(|node| &node.value) {
                    None => true,
                    Some(Value::Number(text)) => text == "0",
                    Some(_) => false,
                };
                if let (true, Some(number)) = (unset, port.get("containerPort").cloned()) {
                    port.set("hostPort", number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn defaulted(text: &str) -> String {
        let mut document = parse(text).remove(0).unwrap();
        apply(&mut document.node);
        document.node.to_json()
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_dir_in_pods_and_templates() {
        let spec = "{volumes: [{name: a}, {name: b, hostPath: {path: /}}, {name: c, emptyDir: null}, {name: d, new: {}}]}";
        let filled = concat!(
            r#"{"volumes":[{"name":"a","emptyDir":{}},{"name":"b","hostPath":{"path":"/"}},"#,
            r#"{"name":"c","emptyDir":{}},{"name":"d","new":{}}]}"#
        );
        for (kind, before, after) in [
            ("v1, kind: Pod", "spec: ", ""),
            (
                "apps/v1, kind: Deployment",
                "spec: {template: {spec: ",
                "}}",
            ),
            (
                "apps/v1, kind: ReplicaSet",
                "spec: {template: {spec: ",
                "}}",
            ),
            (
                "apps/v1, kind: StatefulSet",
                "spec: {template: {spec: ",
                "}}",
            ),
            ("apps/v1, kind: DaemonSet", "spec: {template: {spec: ", "}}"),
            (
                "v1, kind: ReplicationController",
                "spec: {template: {spec: ",
                "}}",
            ),
            ("batch/v1, kind: Job", "spec: {template: {spec: ", "}}"),
            (
                "batch/v1, kind: CronJob",
                "spec: {jobTemplate: {spec: {template: {spec: ",
                "}}}}",
            ),
            ("v1, kind: PodTemplate", "template: {spec: ", "}"),
        ] {
            let json = defaulted(&format!("{{apiVersion: {kind}, {before}{spec}{after}}}"));
            assert!(json.contains(filled), "{kind}: {json}");
        }
        let json = defaulted(&format!(
            "{{apiVersion: example.com/v1, kind: Pod, spec: {spec}}}"
        ));
        assert!(!json.contains("\"emptyDir\":{}"), "{json}");
    }

    #[test]
    fn ports_of_pods_on_the_host_network_become_host_ports() {
        let ports = "[{containerPort: 80}, {containerPort: 81, hostPort: 0}, {containerPort: 82, hostPort: 9}, {name: x}]";
        let pod = |network: &str| {
            defaulted(&format!(
                "{{apiVersion: v1, kind: Pod, spec: {{hostNetwork: {network}, containers: [{{ports: {ports}}}], \
                 initContainers: [{{ports: {ports}}}], ephemeralContainers: [{{ports: {ports}}}]}}}}"
            ))
        };
        let plain = r#"[{"containerPort":80},{"containerPort":81,"hostPort":0},{"containerPort":82,"hostPort":9},{"name":"x"}]"#;
        let filled = concat!(
            r#"[{"containerPort":80,"hostPort":80},{"containerPort":81,"hostPort":81},"#,
            r#"{"containerPort":82,"hostPort":9},{"name":"x"}]"#
        );
        assert_eq!(pod("true").matches(filled).count(), 2);
        assert_eq!(pod("true").matches(plain).count(), 1);
        assert_eq!(pod("false").matches(plain).count(), 3);
    }

    #[test]
    fn ports_of_templates_stay_as_they_are() {
        let json = defaulted(
            "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {hostNetwork: true, \
             containers: [{ports: [{containerPort: 80}]}]}}}}",
        );
        assert!(!json.contains("hostPort\""), "{json}");
    }

    #[test]
    fn objects_of_the_wrong_form_are_left_alone() {
        for text in [
            "{apiVersion: v1, kind: Pod}",
            "{apiVersion: v1, kind: Pod, spec: 7}",
            "{apiVersion: v1, kind: Pod, spec: {volumes: {name: a}, hostNetwork: true, containers: [7, {ports: 8}]}}",
            "{apiVersion: v1, kind: Pod, spec: {volumes: [7, null], hostNetwork: yes, containers: null}}",
        ] {
            let before = parse(text).remove(0).unwrap().node.to_json();
            assert_eq!(defaulted(text), before);
        }
    }
}
