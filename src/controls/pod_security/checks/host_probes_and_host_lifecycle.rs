//! `hostProbesAndHostLifecycle`: probes and hooks call only the pod itself.
//!
//! Fields: `httpGet.host` and `tcpSocket.host` of `livenessProbe`, `readinessProbe`, `startupProbe`,
//! `lifecycle.postStart` and `lifecycle.preStop` of every container. Allowed: unset, empty (not even
//! `127.0.0.1`, which is the node's). Since v1.34.

use std::collections::BTreeSet;

use crate::control::Check;
use crate::objects::{Container, Handler};
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, container_text, pluralize};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "hostProbesAndHostLifecycle",
        summary: "Probes and lifecycle hooks name no host.",
        fix: "Remove host from probes and lifecycle hooks.",
        fields: &[
            "spec.containers[*].livenessProbe.httpGet.host",
            "spec.containers[*].livenessProbe.tcpSocket.host",
            "spec.containers[*].readinessProbe.httpGet.host",
            "spec.containers[*].readinessProbe.tcpSocket.host",
            "spec.containers[*].startupProbe.httpGet.host",
            "spec.containers[*].startupProbe.tcpSocket.host",
            "spec.containers[*].lifecycle.postStart.httpGet.host",
            "spec.containers[*].lifecycle.postStart.tcpSocket.host",
            "spec.containers[*].lifecycle.preStop.httpGet.host",
            "spec.containers[*].lifecycle.preStop.tcpSocket.host",
        ],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 34,
        overrides: &[],
        run: host_probes_and_host_lifecycle_1_34,
    }],
};

fn host_probes_and_host_lifecycle_1_34(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (place, container) in pod.containers() {
        let named = handlers(container).flat_map(|(handler_name, handler)| {
            hosts(handler).map(move |(action, host)| (handler_name, action, host))
        });
        offenders
            .values
            .extend(named.clone().map(|(_, _, host)| host));
        offenders.add_all(
            container,
            named.map(|(handler, action, _)| place.field(handler).field(action).field("host")),
        );
    }
    offenders.none_or(|offenders| {
        // Here, unlike in every other check, upstream sorts the containers and names each once.
        let sorted: BTreeSet<&str> = offenders.names.iter().copied().collect();
        let names: Vec<&str> = sorted.into_iter().collect();
        let hosts = "probe or lifecycle hosts";
        Failure {
            reason: "probe or lifecycle host",
            detail: format!(
                "{} {} {} {}",
                container_text(&names),
                pluralize("uses", "use", names.len()),
                pluralize("probe or lifecycle host", hosts, offenders.values.len()),
                offenders.values_text()
            ),
            fields: offenders.fields,
            fix: None,
        }
    })
}

/// The container's probes and hooks, with their paths in it.
fn handlers<'s, 'a>(
    container: &'s Container<'a>,
) -> impl Iterator<Item = (&'static str, &'s Handler<'a>)> + Clone + use<'s, 'a> {
    let lifecycle = container.lifecycle.as_ref();
    [
        ("livenessProbe", container.liveness_probe.as_ref()),
        ("readinessProbe", container.readiness_probe.as_ref()),
        ("startupProbe", container.startup_probe.as_ref()),
        (
            "lifecycle.postStart",
            lifecycle.and_then(|hooks| hooks.post_start.as_ref()),
        ),
        (
            "lifecycle.preStop",
            lifecycle.and_then(|hooks| hooks.pre_stop.as_ref()),
        ),
    ]
    .into_iter()
    .filter_map(|(name, handler)| Some((name, handler?)))
}

/// The hosts a probe or hook names, with the actions that do.
fn hosts<'s, 'a>(
    handler: &'s Handler<'a>,
) -> impl Iterator<Item = (&'static str, &'s str)> + Clone + use<'s, 'a> {
    let actions = [
        ("httpGet", handler.http_get.as_ref()),
        ("tcpSocket", handler.tcp_socket.as_ref()),
    ];
    let named = actions
        .into_iter()
        .filter_map(|(name, action)| Some((name, &*action?.host)));
    named.filter(|(_, host)| !host.is_empty())
}
