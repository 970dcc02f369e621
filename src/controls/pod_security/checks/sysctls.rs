//! `sysctls`: pods set only kernel parameters that concern nobody else.
//!
//! Field: `spec.securityContext.sysctls[*].name`. Allowed: the names below, of which some came with
//! later versions.

use crate::control::Check;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::Offenders;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "sysctls",
        summary: "Pods set only sysctls of the safe set.",
        fix: "Remove the forbidden sysctls.",
        fields: &["spec.securityContext.sysctls[*].name"],
    },
    level: Level::Baseline,
    steps: &[
        Step {
            from: 0,
            overrides: &[],
            run: sysctls_1_0,
        },
        Step {
            from: 27,
            overrides: &[],
            run: sysctls_1_27,
        },
        Step {
            from: 29,
            overrides: &[],
            run: sysctls_1_29,
        },
        Step {
            from: 32,
            overrides: &[],
            run: sysctls_1_32,
        },
        Step {
            from: 37,
            overrides: &[],
            run: sysctls_1_37,
        },
    ],
};

/// The minor version since which a sysctl is allowed.
fn allowed_since(name: &str) -> Option<u16> {
    let since = match name {
        "kernel.shm_rmid_forced"
        | "net.ipv4.ip_local_port_range"
        | "net.ipv4.tcp_syncookies"
        | "net.ipv4.ping_group_range"
        | "net.ipv4.ip_unprivileged_port_start" => 0,
        "net.ipv4.ip_local_reserved_ports" => 27,
        "net.ipv4.tcp_keepalive_time"
        | "net.ipv4.tcp_fin_timeout"
        | "net.ipv4.tcp_keepalive_intvl"
        | "net.ipv4.tcp_keepalive_probes" => 29,
        "net.ipv4.tcp_rmem" | "net.ipv4.tcp_wmem" => 32,
        "net.ipv4.tcp_slow_start_after_idle" | "net.ipv4.tcp_notsent_lowat" => 37,
        _ => return None,
    };
    Some(since)
}

fn sysctls_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    sysctls(pod, 0)
}

fn sysctls_1_27(pod: &PodView<'_, '_>) -> Option<Failure> {
    sysctls(pod, 27)
}

fn sysctls_1_29(pod: &PodView<'_, '_>) -> Option<Failure> {
    sysctls(pod, 29)
}

fn sysctls_1_32(pod: &PodView<'_, '_>) -> Option<Failure> {
    sysctls(pod, 32)
}

fn sysctls_1_37(pod: &PodView<'_, '_>) -> Option<Failure> {
    sysctls(pod, 37)
}

fn sysctls(pod: &PodView<'_, '_>, minor: u16) -> Option<Failure> {
    let mut offenders = Offenders::default();
    let set = pod
        .security_context()
        .map(|context| context.sysctls.as_slice())
        .unwrap_or_default();
    for (index, sysctl) in set.iter().enumerate() {
        if allowed_since(&sysctl.name).is_none_or(|since| since > minor) {
            offenders.names.push(&sysctl.name);
            offenders.fields.push(
                FieldPath::of("spec.securityContext.sysctls")
                    .index(index)
                    .field("name"),
            );
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "forbidden sysctls",
        detail: offenders.names.join(", "),
        fields: offenders.fields,
        fix: None,
    })
}
