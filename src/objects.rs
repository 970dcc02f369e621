//! The fields tidegate reads, by kind: small structs that borrow from the request, nothing else.
//!
//! A field that no check reads is not here and costs only its skipping. `Option` stands where Go
//! has a pointer, because there absent and zero differ; everything else defaults to Go's zero
//! value. Names follow the Kubernetes API in camel case.

mod pod;
mod text;
mod workload;

use serde::Deserialize;

pub use pod::{
    AppArmorProfile, Capabilities, Container, ContainerKind, Handler, HostAddress, Lifecycle,
    Object, Pod, PodOs, PodSecurityContext, PodSpec, Port, Probe, SeLinuxOptions, SeccompProfile,
    SecurityContext, Sysctl, Volume, WindowsOptions,
};
pub use text::{Map, Text};
pub use workload::{CronJob, PodTemplate, Template, Workload};

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// The object's name; empty while `generateName` is to make one.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The prefix of a name the API server is to make.
    #[serde(borrow)]
    pub generate_name: Text<'a>,
    /// The namespace; empty for cluster-scoped objects.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// Labels, in the order of the text.
    #[serde(borrow)]
    pub labels: Map<'a>,
    /// Annotations, in the order of the text.
    #[serde(borrow)]
    pub annotations: Map<'a>,
    /// The objects this one belongs to.
    #[serde(borrow)]
    pub owner_references: Vec<OwnerReference<'a>>,
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnerReference<'a> {
    /// The owner's uid.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// Whether the owner is the managing controller.
    pub controller: Option<bool>,
}

/// An object of any kind: what it is and its metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Any<'a> {
    /// Group and version, `apps/v1`.
    #[serde(borrow)]
    pub api_version: Text<'a>,
    /// Kind, `Deployment`.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Metadata.
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
}

/// An object whose `spec` is read as `S`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    default,
    rename_all = "camelCase",
    bound(deserialize = "'de: 'a, S: Default + Deserialize<'de>")
)]
pub struct WithSpec<'a, S> {
    /// Group and version.
    #[serde(borrow)]
    pub api_version: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Metadata.
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
    /// The specification.
    pub spec: S,
}
