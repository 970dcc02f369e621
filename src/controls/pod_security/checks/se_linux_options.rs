//! `seLinuxOptions`: containers run with the `SELinux` types made for containers.
//!
//! Fields: `securityContext.seLinuxOptions` of the pod and of every container. Allowed `type`: empty,
//! `container_t`, `container_init_t`, `container_kvm_t`, and since v1.31 `container_engine_t`;
//! `user` and `role`: empty.

use crate::control::Check;
use crate::objects::SeLinuxOptions;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, pluralize};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "seLinuxOptions",
        summary: "SELinux types are those for containers; user and role are not set.",
        fix: "Remove user, role and any forbidden type.",
        fields: &[
            "spec.securityContext.seLinuxOptions",
            "spec.containers[*].securityContext.seLinuxOptions",
        ],
    },
    level: Level::Baseline,
    steps: &[
        Step {
            from: 0,
            overrides: &[],
            run: se_linux_options_1_0,
        },
        Step {
            from: 31,
            overrides: &[],
            run: se_linux_options_1_31,
        },
    ],
};

fn is_type_1_0(name: &str) -> bool {
    matches!(
        name,
        "" | "container_t" | "container_init_t" | "container_kvm_t"
    )
}

fn se_linux_options_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    se_linux_options(pod, is_type_1_0)
}

fn se_linux_options_1_31(pod: &PodView<'_, '_>) -> Option<Failure> {
    se_linux_options(pod, |name| {
        is_type_1_0(name) || name == "container_engine_t"
    })
}

fn se_linux_options(pod: &PodView<'_, '_>, is_allowed: fn(&str) -> bool) -> Option<Failure> {
    let mut offenders = Offenders::default();
    let (mut user, mut role) = (false, false);
    let mut judge = |options: &SeLinuxOptions<'_>| {
        let broken = Broken {
            type_: !is_allowed(&options.type_),
            user: !options.user.is_empty(),
            role: !options.role.is_empty(),
        };
        user |= broken.user;
        role |= broken.role;
        broken
    };
    if let Some(options) = pod
        .security_context()
        .and_then(|context| context.se_linux_options.as_ref())
    {
        let broken = judge(options);
        broken.fields().for_each(|field| offenders.add_pod(field));
        offenders
            .values
            .extend(broken.type_.then_some(&*options.type_));
    }
    for (place, container) in pod.containers() {
        let context = container.security_context.as_ref();
        if let Some(options) = context.and_then(|context| context.se_linux_options.as_ref()) {
            let broken = judge(options);
            offenders.add_all(
                container,
                broken
                    .fields()
                    .map(|field| place.field("securityContext").field(field)),
            );
            offenders
                .values
                .extend(broken.type_.then_some(&*options.type_));
        }
    }
    offenders.none_or(|offenders| {
        let mut details = Vec::new();
        if !offenders.values.is_empty() {
            let types = pluralize("type", "types", offenders.values.len());
            details.push(format!("{types} {}", offenders.values_text()));
        }
        details.extend(user.then(|| "user may not be set".to_owned()));
        details.extend(role.then(|| "role may not be set".to_owned()));
        let setters = offenders.setters_text();
        Failure {
            reason: "seLinuxOptions",
            detail: format!(
                "{setters} set forbidden securityContext.seLinuxOptions: {}",
                details.join("; ")
            ),
            fields: offenders.fields,
            fix: None,
        }
    })
}

/// Which of the options are forbidden.
#[derive(Clone, Copy)]
struct Broken {
    type_: bool,
    user: bool,
    role: bool,
}

impl Broken {
    /// Their paths in a security context.
    fn fields(self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("seLinuxOptions.type", self.type_),
            ("seLinuxOptions.user", self.user),
            ("seLinuxOptions.role", self.role),
        ];
        fields
            .into_iter()
            .filter_map(|(name, broken)| broken.then_some(name))
    }
}
