//! What upstream's admission does with a request (`admission/admission.go`).

use crate::facts::{Fact, Facts, Needs};
use crate::objects::PodSpec;
use crate::review::{Operation, Request};
use crate::subject::{Body, Input, PodView, Subject};

use super::existing;
use super::labels::{self, LabelError, Levels};
use super::level::{Level, LevelVersion};
use super::outcome::{Evaluation, Exemption, Failed, NamespaceOutcome, Outcome, Target};
use super::registry;
use super::settings::Settings;

/// Subresources of pods that cannot change what is checked; any other is judged, so that one newer
/// than this program fails safe.
const IGNORED_SUBRESOURCES: [&str; 8] = [
    "exec",
    "attach",
    "binding",
    "eviction",
    "log",
    "portforward",
    "proxy",
    "status",
];

impl Settings {
    /// What [`Settings::decide`] must know.
    pub fn needed(&self, input: &Input<'_>) -> Needs {
        match target(&input.request) {
            Some(Target::Namespace) => Needs {
                existing_pods: self.raised_level(input).is_some(),
                ..Needs::default()
            },
            Some(_) if self.exempt_request(&input.request).is_none() => Needs {
                namespace: true,
                ..Needs::default()
            },
            _ => Needs::default(),
        }
    }

    /// Decides a request.
    pub fn decide(&self, input: &Input<'_>, facts: &Facts) -> Outcome {
        match target(&input.request) {
            None if relabels(&input.request) => self.decide_relabelling(input),
            None => Outcome::Ignored,
            Some(Target::Namespace) => self.decide_namespace(input, facts),
            Some(target) => self.decide_pod(input, facts, target),
        }
    }

    fn exempt_request(&self, request: &Request<'_>) -> Option<Exemption> {
        let listed =
            |list: &[String], name: &str| !name.is_empty() && list.iter().any(|one| one == name);
        if listed(&self.exemptions.namespaces, &request.namespace) {
            Some(Exemption::Namespace)
        } else if listed(&self.exemptions.usernames, &request.user_info.username) {
            Some(Exemption::User)
        } else {
            None
        }
    }

    fn decide_pod(&self, input: &Input<'_>, facts: &Facts, target: Target) -> Outcome {
        if let Some(exemption) = self.exempt_request(&input.request) {
            return Outcome::Exempt(exemption);
        }
        let namespace = match &facts.namespace {
            Fact::Known(namespace) => namespace,
            Fact::Unavailable(why) => return Outcome::Failed(Failed::Lookup(why.clone()), target),
            Fact::NotAsked => {
                return Outcome::Failed(Failed::Lookup("not asked for".into()), target);
            }
        };
        let (levels, label_errors) = labels::levels(|key| namespace.get(key), &self.default);
        let floor = self
            .minimum
            .filter(|floor| floor.level != Level::Privileged);
        if label_errors.is_empty() && levels.privileged() && floor.is_none() {
            return Outcome::Privileged(target);
        }
        let subject = match input.object() {
            Ok(subject) => subject,
            Err(error) => return Outcome::Failed(Failed::Object(error.clone()), target),
        };
        if target == Target::Pod {
            match significant_change(input, subject) {
                Ok(true) => {}
                Ok(false) => return Outcome::Ignored,
                Err(failed) => return Outcome::Failed(failed, target),
            }
        }
        let Some(pod) = subject.pod() else {
            if matches!(subject.body, Body::NoTemplate) {
                return Outcome::Ignored;
            }
            return Outcome::Failed(Failed::Kind(subject.kind.to_string()), target);
        };
        if self.exempts_runtime_class(pod.spec) {
            return Outcome::Exempt(Exemption::RuntimeClass);
        }
        Outcome::Evaluated(Box::new(evaluate(
            &pod,
            target,
            levels,
            label_errors,
            floor,
        )))
    }

    /// Whether a pod is not judged because of its runtime class.
    pub(super) fn exempts_runtime_class(&self, spec: &PodSpec<'_>) -> bool {
        let class = spec.runtime_class_name.as_deref().unwrap_or_default();
        let mut exempt = self.exemptions.runtime_classes.iter();
        !class.is_empty() && exempt.any(|one| one == class)
    }

    fn decide_namespace(&self, input: &Input<'_>, facts: &Facts) -> Outcome {
        let target = Target::Namespace;
        let subject = match input.object() {
            Ok(subject) => subject,
            Err(error) => return Outcome::Failed(Failed::Object(error.clone()), target),
        };
        if !matches!(subject.body, Body::Namespace) {
            return Outcome::Failed(Failed::Kind(subject.kind.to_string()), target);
        }
        let update = input.request.operation == Operation::Update;
        let old = match update.then(|| input.old_object()) {
            None => None,
            Some(Ok(old)) if matches!(old.body, Body::Namespace) => Some(old),
            Some(Ok(old)) => return Outcome::Failed(Failed::OldKind(old.kind.to_string()), target),
            Some(Err(error)) => return Outcome::Failed(Failed::OldObject(error.clone()), target),
        };
        let (levels, errors) = self.levels_of(subject);
        let known_errors = old.map(|old| self.levels_of(old).1);
        let mut outcome = NamespaceOutcome::default();
        if !errors.is_empty() && known_errors.as_ref() != Some(&errors) {
            outcome.invalid = errors;
        } else if self.is_exempt(&input.request.namespace) {
            let judged = old.is_none_or(|old| raises(&self.levels_of(old).0, &levels));
            outcome.warnings.extend(
                judged
                    .then(|| self.exempt_warning(subject, &levels))
                    .flatten(),
            );
        } else if let Some(level) = self.raised_level(input) {
            outcome.warnings =
                existing::warnings(self, &subject.metadata.name, level, &facts.existing_pods);
        }
        outcome.below_floor = self.below_floor(input, subject, old, &levels);
        Outcome::Namespace(outcome)
    }

    /// Upstream does not look at the subresources of a Namespace, and so neither does this, but for
    /// the floor: labels can be changed through them (CVE-2026-30963 was such a gap).
    fn decide_relabelling(&self, input: &Input<'_>) -> Outcome {
        if self.minimum.is_none() {
            return Outcome::Ignored;
        }
        let target = Target::Namespace;
        let (new, old) = match (input.object(), input.old_object()) {
            (Ok(new), Ok(old)) => (new, old),
            (Err(error), _) => return Outcome::Failed(Failed::Object(error.clone()), target),
            (_, Err(error)) => return Outcome::Failed(Failed::OldObject(error.clone()), target),
        };
        let (levels, _) = self.levels_of(new);
        Outcome::Namespace(NamespaceOutcome {
            below_floor: self.below_floor(input, new, Some(old), &levels),
            ..NamespaceOutcome::default()
        })
    }

    fn levels_of(&self, namespace: &Subject<'_>) -> (Levels, Vec<LabelError>) {
        labels::levels(|key| namespace.metadata.labels.get(key), &self.default)
    }

    fn is_exempt(&self, namespace: &str) -> bool {
        !namespace.is_empty()
            && self
                .exemptions
                .namespaces
                .iter()
                .any(|one| one == namespace)
    }

    /// The enforced level that an update of a Namespace raises, when its pods are to be looked at.
    fn raised_level(&self, input: &Input<'_>) -> Option<LevelVersion> {
        if input.request.operation != Operation::Update || self.is_exempt(&input.request.namespace)
        {
            return None;
        }
        let (new, old) = (input.object().ok()?, input.old_object().ok()?);
        let ((levels, errors), (old_levels, old_errors)) =
            (self.levels_of(new), self.levels_of(old));
        let acceptable = errors.is_empty() || errors == old_errors;
        (acceptable && raises(&old_levels, &levels)).then_some(levels.enforce)
    }

    /// A label below the floor that the request brings; one that was there already is left alone,
    /// so that nothing else about the Namespace is held up by it.
    fn below_floor(
        &self,
        input: &Input<'_>,
        namespace: &Subject<'_>,
        old: Option<&Subject<'_>>,
        levels: &Levels,
    ) -> Option<LevelVersion> {
        let floor = self.minimum?;
        let label = namespace.metadata.labels.get(labels::ENFORCE)?;
        let unchanged =
            old.is_some_and(|old| old.metadata.labels.get(labels::ENFORCE) == Some(label));
        let judged = !unchanged && self.exempt_request(&input.request).is_none();
        (judged && levels.enforce.level < floor.level).then_some(levels.enforce)
    }

    /// What is said of labels that an exemption keeps from taking effect.
    fn exempt_warning(&self, namespace: &Subject<'_>, levels: &Levels) -> Option<String> {
        if levels.privileged() || levels.equivalent(&self.default) {
            return None;
        }
        let label = |key: &str| namespace.metadata.labels.get(key).is_some();
        let modes = [
            (
                "enforce",
                levels.enforce,
                label(labels::ENFORCE) || label(labels::ENFORCE_VERSION),
            ),
            (
                "audit",
                levels.audit,
                label(labels::AUDIT) || label(labels::AUDIT_VERSION),
            ),
            (
                "warn",
                levels.warn,
                label(labels::WARN) || label(labels::WARN_VERSION),
            ),
        ];
        let set: Vec<String> = modes
            .into_iter()
            .filter(|(_, lv, labelled)| *labelled && lv.level != Level::Privileged)
            .map(|(mode, lv, _)| format!("{mode}={lv}"))
            .collect();
        // Upstream says so with empty brackets too, where only privileged modes are labelled.
        Some(format!(
            "namespace {} is exempt from Pod Security, and the policy ({}) will be ignored",
            super::quote::go_quote(&namespace.metadata.name),
            set.join(", ")
        ))
    }
}

/// What the request changes, if it is looked at.
fn target(request: &Request<'_>) -> Option<Target> {
    if !matches!(request.operation, Operation::Create | Operation::Update) {
        return None;
    }
    let subresource = request.subresource();
    match (&*request.resource.group, &*request.resource.resource) {
        ("", "pods") => (!IGNORED_SUBRESOURCES.contains(&subresource)).then_some(Target::Pod),
        ("", "namespaces") => subresource.is_empty().then_some(Target::Namespace),
        ("", "replicationcontrollers" | "podtemplates")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs" | "cronjobs") => subresource.is_empty().then_some(Target::Template),
        _ => None,
    }
}

/// Whether a Namespace's labels may change through one of its subresources.
fn relabels(request: &Request<'_>) -> bool {
    request.operation == Operation::Update
        && request.resource.group.is_empty()
        && request.resource.resource == "namespaces"
        && matches!(request.subresource(), "status" | "finalize")
}

/// Whether pods that satisfied `old` may fail `new`.
fn raises(old: &Levels, new: &Levels) -> bool {
    new.enforce != old.enforce
        && new.enforce.level != Level::Privileged
        && !(new.enforce.version == old.enforce.version && new.enforce.level <= old.enforce.level)
}

fn evaluate(
    pod: &PodView<'_, '_>,
    target: Target,
    levels: Levels,
    label_errors: Vec<LabelError>,
    floor: Option<LevelVersion>,
) -> Evaluation {
    let enforce = registry::evaluate(levels.enforce, pod);
    let audit = if levels.audit == levels.enforce {
        enforce.clone()
    } else {
        registry::evaluate(levels.audit, pod)
    };
    let warn = if levels.warn == levels.enforce {
        enforce.clone()
    } else if levels.warn == levels.audit {
        audit.clone()
    } else {
        registry::evaluate(levels.warn, pod)
    };
    let floor = floor.filter(|floor| *floor != levels.enforce);
    Evaluation {
        target,
        base: pod.base,
        levels,
        label_errors,
        enforce,
        audit,
        warn,
        floor: floor
            .map(|floor| registry::evaluate(floor, pod))
            .unwrap_or_default(),
    }
}

/// Whether a Pod is new or changed where it matters (`isSignificantPodUpdate`): its number of
/// containers, an image, or an ephemeral container.
fn significant_change(input: &Input<'_>, subject: &Subject<'_>) -> Result<bool, Failed> {
    let Body::Pod(new) = &subject.body else {
        return Err(Failed::Kind(subject.kind.to_string()));
    };
    if input.request.operation != Operation::Update {
        return Ok(true);
    }
    let old = input
        .old_object()
        .map_err(|error| Failed::OldObject(error.clone()))?;
    let Body::Pod(old_spec) = &old.body else {
        return Err(Failed::OldKind(old.kind.to_string()));
    };
    let other_images = [
        (&new.containers, &old_spec.containers),
        (&new.init_containers, &old_spec.init_containers),
    ]
    .into_iter()
    .any(|(new, old)| {
        new.len() != old.len() || new.iter().zip(old).any(|(new, old)| new.image != old.image)
    });
    let other_debugging = new.ephemeral_containers.iter().any(|new| {
        let mut known = old_spec.ephemeral_containers.iter();
        known
            .find(|old| old.name == new.name)
            .is_none_or(|old| old.image != new.image)
    });
    Ok(other_images || other_debugging)
}
