//! `v1` Pod.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Text, WithSpec};

/// A Pod.
pub type Pod<'a> = WithSpec<'a, PodSpec<'a>>;

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec<'a> {
    /// Volumes.
    #[serde(borrow)]
    pub volumes: Vec<Volume<'a>>,
    /// Containers that run before the others.
    #[serde(borrow)]
    pub init_containers: Vec<Container<'a>>,
    /// Containers.
    #[serde(borrow)]
    pub containers: Vec<Container<'a>>,
    /// Containers added to a running pod for debugging.
    #[serde(borrow)]
    pub ephemeral_containers: Vec<Container<'a>>,
    /// Shares the node's network.
    pub host_network: bool,
    /// Shares the node's process ids.
    #[serde(rename = "hostPID")]
    pub host_pid: bool,
    /// Shares the node's inter-process communication.
    #[serde(rename = "hostIPC")]
    pub host_ipc: bool,
    /// Shares the node's user namespace; `false` asks for an own one.
    pub host_users: Option<bool>,
    /// Settings for all containers.
    #[serde(borrow)]
    pub security_context: Option<PodSecurityContext<'a>>,
    /// The operating system the pod is for.
    #[serde(borrow)]
    pub os: Option<PodOs<'a>>,
    /// The runtime class.
    #[serde(borrow)]
    pub runtime_class_name: Option<Text<'a>>,
}

/// Which of a pod's three lists a container stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContainerKind {
    /// `spec.initContainers`
    Init,
    /// `spec.containers`
    Regular,
    /// `spec.ephemeralContainers`
    Ephemeral,
}

impl ContainerKind {
    /// The name of the list in the pod's spec.
    pub fn field(self) -> &'static str {
        match self {
            ContainerKind::Init => "initContainers",
            ContainerKind::Regular => "containers",
            ContainerKind::Ephemeral => "ephemeralContainers",
        }
    }
}

impl<'a> PodSpec<'a> {
    /// Every container with its list and its index in it, in upstream's order: init, regular,
    /// ephemeral (`policy/visitor.go`).
    pub fn all_containers(&self) -> impl Iterator<Item = (ContainerKind, usize, &Container<'a>)> {
        [
            (ContainerKind::Init, &self.init_containers),
            (ContainerKind::Regular, &self.containers),
            (ContainerKind::Ephemeral, &self.ephemeral_containers),
        ]
        .into_iter()
        .flat_map(|(kind, list)| {
            let indexed = list.iter().enumerate();
            indexed.map(move |(index, container)| (kind, index, container))
        })
    }
}

/// `spec.os`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodOs<'a> {
    /// `linux` or `windows`.
    #[serde(borrow)]
    pub name: Text<'a>,
}

/// One container of any list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container<'a> {
    /// Name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Image reference.
    #[serde(borrow)]
    pub image: Text<'a>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Probe of liveness.
    #[serde(borrow)]
    pub liveness_probe: Option<Probe<'a>>,
    /// Probe of readiness.
    #[serde(borrow)]
    pub readiness_probe: Option<Probe<'a>>,
    /// Probe of start-up.
    #[serde(borrow)]
    pub startup_probe: Option<Probe<'a>>,
    /// Hooks.
    #[serde(borrow)]
    pub lifecycle: Option<Lifecycle<'a>>,
    /// Settings for this container.
    #[serde(borrow)]
    pub security_context: Option<SecurityContext<'a>>,
}

/// One of a container's `ports`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Port {
    /// The port taken on the node; 0 is none.
    pub host_port: i32,
}

/// A probe. Kubernetes writes its handler beside its other fields.
pub type Probe<'a> = Handler<'a>;

/// What a probe or hook calls; only actions with a host of their own are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Handler<'a> {
    /// `httpGet`
    #[serde(borrow)]
    pub http_get: Option<HostAddress<'a>>,
    /// `tcpSocket`
    #[serde(borrow)]
    pub tcp_socket: Option<HostAddress<'a>>,
}

/// The host of an action; empty means the pod's own address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HostAddress<'a> {
    /// Host name or address.
    #[serde(borrow)]
    pub host: Text<'a>,
}

/// A container's `lifecycle`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Lifecycle<'a> {
    /// `postStart`
    #[serde(borrow)]
    pub post_start: Option<Handler<'a>>,
    /// `preStop`
    #[serde(borrow)]
    pub pre_stop: Option<Handler<'a>>,
}

/// A container's `securityContext`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityContext<'a> {
    /// `capabilities`
    #[serde(borrow)]
    pub capabilities: Option<Capabilities<'a>>,
    /// `privileged`
    pub privileged: Option<bool>,
    /// `seLinuxOptions`
    #[serde(borrow)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
    /// `windowsOptions`
    pub windows_options: Option<WindowsOptions>,
    /// `runAsUser`
    pub run_as_user: Option<i64>,
    /// `runAsNonRoot`
    pub run_as_non_root: Option<bool>,
    /// `allowPrivilegeEscalation`
    pub allow_privilege_escalation: Option<bool>,
    /// `procMount`
    #[serde(borrow)]
    pub proc_mount: Option<Text<'a>>,
    /// `seccompProfile`
    #[serde(borrow)]
    pub seccomp_profile: Option<SeccompProfile<'a>>,
    /// `appArmorProfile`
    #[serde(borrow)]
    pub app_armor_profile: Option<AppArmorProfile<'a>>,
}

/// A pod's `securityContext`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSecurityContext<'a> {
    /// `seLinuxOptions`
    #[serde(borrow)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
    /// `windowsOptions`
    pub windows_options: Option<WindowsOptions>,
    /// `runAsUser`
    pub run_as_user: Option<i64>,
    /// `runAsNonRoot`
    pub run_as_non_root: Option<bool>,
    /// `sysctls`
    #[serde(borrow)]
    pub sysctls: Vec<Sysctl<'a>>,
    /// `seccompProfile`
    #[serde(borrow)]
    pub seccomp_profile: Option<SeccompProfile<'a>>,
    /// `appArmorProfile`
    #[serde(borrow)]
    pub app_armor_profile: Option<AppArmorProfile<'a>>,
}

/// `capabilities`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities<'a> {
    /// Added to the runtime's default set.
    #[serde(borrow)]
    pub add: Vec<Text<'a>>,
    /// Taken from it.
    #[serde(borrow)]
    pub drop: Vec<Text<'a>>,
}

/// `seLinuxOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SeLinuxOptions<'a> {
    /// `user`
    #[serde(borrow)]
    pub user: Text<'a>,
    /// `role`
    #[serde(borrow)]
    pub role: Text<'a>,
    /// `type`
    #[serde(borrow, rename = "type")]
    pub type_: Text<'a>,
}

/// `windowsOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WindowsOptions {
    /// Runs as a process of the node.
    pub host_process: Option<bool>,
}

/// `seccompProfile`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SeccompProfile<'a> {
    /// `RuntimeDefault`, `Localhost` or `Unconfined`.
    #[serde(borrow, rename = "type")]
    pub type_: Text<'a>,
}

/// `appArmorProfile`; the same shape as `seccompProfile`.
pub type AppArmorProfile<'a> = SeccompProfile<'a>;

/// One of `sysctls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sysctl<'a> {
    /// Name.
    #[serde(borrow)]
    pub name: Text<'a>,
}

/// One of a pod's `volumes`: its name and which sources are there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "each field is the API's field of the same name"
)]
pub struct Volume<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    pub aws_elastic_block_store: Option<Object>,
    pub azure_disk: Option<Object>,
    pub azure_file: Option<Object>,
    pub cephfs: Option<Object>,
    pub cinder: Option<Object>,
    pub config_map: Option<Object>,
    pub csi: Option<Object>,
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<Object>,
    pub empty_dir: Option<Object>,
    pub ephemeral: Option<Object>,
    pub fc: Option<Object>,
    pub flex_volume: Option<Object>,
    pub flocker: Option<Object>,
    pub gce_persistent_disk: Option<Object>,
    pub git_repo: Option<Object>,
    pub glusterfs: Option<Object>,
    pub host_path: Option<Object>,
    pub image: Option<Object>,
    pub iscsi: Option<Object>,
    pub nfs: Option<Object>,
    pub persistent_volume_claim: Option<Object>,
    pub photon_persistent_disk: Option<Object>,
    pub portworx_volume: Option<Object>,
    pub projected: Option<Object>,
    pub quobyte: Option<Object>,
    pub rbd: Option<Object>,
    #[serde(rename = "scaleIO")]
    pub scale_io: Option<Object>,
    pub secret: Option<Object>,
    pub storageos: Option<Object>,
    pub vsphere_volume: Option<Object>,
}

/// An object that is there, whatever it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;
            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_struct("Object", &[], Entries)
    }
}
