//! The kinds that hold a pod template.

use serde::Deserialize;

use super::{Metadata, PodSpec, Text};

/// A `PodTemplateSpec`: the metadata and spec of pods to be made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Template<'a> {
    /// Metadata of the pods.
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
    /// Spec of the pods.
    #[serde(borrow)]
    pub spec: PodSpec<'a>,
}

/// `spec` of `Deployment`, `ReplicaSet`, `StatefulSet`, `DaemonSet`, `ReplicationController` and
/// `Job`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Workload<'a> {
    /// The template. Only a `ReplicationController` may have none: there Go has a pointer.
    #[serde(borrow)]
    pub template: Option<Template<'a>>,
}

/// `spec` of a `CronJob`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CronJob<'a> {
    /// The jobs to be made.
    #[serde(borrow)]
    pub job_template: JobTemplate<'a>,
}

/// A `JobTemplateSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate<'a> {
    /// The spec of the jobs.
    #[serde(borrow)]
    pub spec: Workload<'a>,
}

/// A `PodTemplate`, whose template is no part of a spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodTemplate<'a> {
    /// Group and version.
    #[serde(borrow)]
    pub api_version: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Metadata of the object itself.
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
    /// The template.
    #[serde(borrow)]
    pub template: Template<'a>,
}
