//! `hostPathVolumes`: no directory of the node is mounted.
//!
//! Field: `spec.volumes[*].hostPath`. Allowed: unset; an empty object counts as set.

use crate::control::Check;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, join_quote, pluralize};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "hostPathVolumes",
        summary: "No volume is a path of the node.",
        fix: "Use a volume type other than hostPath.",
        fields: &["spec.volumes[*].hostPath"],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: host_path_volumes_1_0,
    }],
};

fn host_path_volumes_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (index, volume) in pod.spec.volumes.iter().enumerate() {
        if volume.host_path.is_some() {
            offenders.names.push(&volume.name);
            offenders
                .fields
                .push(FieldPath::of("spec.volumes").index(index).field("hostPath"));
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "hostPath volumes",
        detail: format!(
            "{} {}",
            pluralize("volume", "volumes", offenders.names.len()),
            join_quote(&offenders.names)
        ),
        fields: offenders.fields,
        fix: None,
    })
}
