//! `hostPorts`: no container takes a port of the node.
//!
//! Field: `ports[*].hostPort` of every container. Allowed: unset, 0.

use std::collections::BTreeSet;

use crate::control::Check;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text, join, pluralize};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "hostPorts",
        summary: "No container takes a port of the node.",
        fix: "Remove hostPort; reach the pod through a Service.",
        fields: &["spec.containers[*].ports[*].hostPort"],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: host_ports_1_0,
    }],
};

fn host_ports_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    // As texts, since upstream sorts them as such: 80 before 9.
    let mut taken = BTreeSet::new();
    for (place, container) in pod.containers() {
        let ports = container.ports.iter().enumerate();
        let hosts = ports.filter(|(_, port)| port.host_port != 0);
        taken.extend(hosts.clone().map(|(_, port)| port.host_port.to_string()));
        let field = |index| place.field("ports").index(index).field("hostPort");
        offenders.add_all(container, hosts.map(|(index, _)| field(index)));
    }
    offenders.none_or(|offenders| Failure {
        reason: "hostPort",
        detail: format!(
            "{} {} {} {}",
            container_text(&offenders.names),
            pluralize("uses", "use", offenders.names.len()),
            pluralize("hostPort", "hostPorts", taken.len()),
            join(&taken, ", ")
        ),
        fields: offenders.fields,
        fix: None,
    })
}
