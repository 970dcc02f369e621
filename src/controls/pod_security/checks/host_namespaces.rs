//! `hostNamespaces`: pods have their own network, process ids and inter-process communication.
//!
//! Fields: `spec.hostNetwork`, `spec.hostPID`, `spec.hostIPC`. Allowed: unset, `false`.

use crate::control::Check;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::join;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "hostNamespaces",
        summary: "Pods do not share namespaces of the node.",
        fix: "Remove hostNetwork, hostPID and hostIPC.",
        fields: &["spec.hostNetwork", "spec.hostPID", "spec.hostIPC"],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: host_namespaces_1_0,
    }],
};

fn host_namespaces_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let spec = pod.spec;
    if !(spec.host_network || spec.host_pid || spec.host_ipc) {
        return None;
    }
    let flags = [
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
    ];
    let shared = flags.into_iter().filter(|(_, set)| *set);
    let names: Vec<&str> = shared.map(|(name, _)| name).collect();
    let listed = match names.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        names => names.concat(),
    };
    Some(Failure {
        reason: "host namespaces",
        detail: join(names.iter().map(|name| format!("{name}=true")), ", "),
        fields: names
            .iter()
            .map(|name| FieldPath::of("spec").field(name))
            .collect(),
        fix: Some(format!("Remove {listed}.")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::objects::Pod;

    #[test]
    fn the_fix_names_only_what_is_set() {
        let fix = |spec: &str| {
            let text = format!("{{\"spec\": {spec}}}");
            let pod: Pod = json::from_str(&text).unwrap();
            let view = PodView {
                metadata: &pod.metadata,
                spec: &pod.spec,
                base: "",
            };
            host_namespaces_1_0(&view)?.fix
        };
        assert_eq!(
            fix(r#"{"hostNetwork": true}"#).unwrap(),
            "Remove hostNetwork."
        );
        assert_eq!(
            fix(r#"{"hostIPC": true, "hostPID": true}"#).unwrap(),
            "Remove hostPID and hostIPC."
        );
        assert_eq!(
            fix(r#"{"hostIPC": true, "hostPID": true, "hostNetwork": true}"#).unwrap(),
            "Remove hostNetwork, hostPID and hostIPC."
        );
        assert_eq!(fix(r#"{"hostIPC": false}"#), None);
    }
}
