//! `procMount_restricted`: containers see `/proc` masked, in every pod.
//!
//! Field: `securityContext.procMount` of every container. Allowed: unset, `Default`. Since v1.35, in
//! place of `procMount`, which from then on makes an exception for pods with `hostUsers: false`.

use crate::control::Check;

use super::super::check::{PodCheck, Step};
use super::super::level::Level;
use super::proc_mount::proc_mount_1_0;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "procMount_restricted",
        summary: "Containers use the default /proc mount, whatever hostUsers says.",
        fix: "Remove procMount.",
        fields: &["spec.containers[*].securityContext.procMount"],
    },
    level: Level::Restricted,
    steps: &[Step {
        from: 35,
        overrides: &["procMount"],
        run: proc_mount_1_0,
    }],
};
