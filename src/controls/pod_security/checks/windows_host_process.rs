//! `windowsHostProcess`: nothing runs as a process of a Windows node.
//!
//! Fields: `securityContext.windowsOptions.hostProcess` of the pod and of every container. Allowed:
//! unset, `false`.

use crate::control::Check;
use crate::objects::WindowsOptions;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::Offenders;

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "windowsHostProcess",
        summary: "No container is a process of a Windows node.",
        fix: "Remove hostProcess: true.",
        fields: &[
            "spec.securityContext.windowsOptions.hostProcess",
            "spec.containers[*].securityContext.windowsOptions.hostProcess",
        ],
    },
    level: Level::Baseline,
    steps: &[Step {
        from: 0,
        overrides: &[],
        run: windows_host_process_1_0,
    }],
};

fn windows_host_process_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    if is_host_process(
        pod.security_context()
            .and_then(|context| context.windows_options.as_ref()),
    ) {
        offenders.add_pod("windowsOptions.hostProcess");
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if is_host_process(context.and_then(|context| context.windows_options.as_ref())) {
            offenders.add(
                container,
                place.field("securityContext.windowsOptions.hostProcess"),
            );
        }
    }
    offenders.none_or(|offenders| Failure {
        reason: "hostProcess",
        detail: format!(
            "{} must not set securityContext.windowsOptions.hostProcess=true",
            offenders.setters_text()
        ),
        fields: offenders.fields,
        fix: None,
    })
}

fn is_host_process(options: Option<&WindowsOptions>) -> bool {
    options.and_then(|options| options.host_process) == Some(true)
}
