//! `restrictedVolumes`: volumes are of the types that hold no door to node or network.
//!
//! Field: `spec.volumes[*]`. Allowed: any volume that has `configMap`, `csi`, `downwardAPI`,
//! `emptyDir`, `ephemeral`, `image`, `persistentVolumeClaim`, `projected` or `secret`. In place of
//! `hostPathVolumes`.

use crate::control::Check;
use crate::objects::Volume;
use crate::path::FieldPath;
use crate::subject::PodView;

use super::super::check::{Failure, PodCheck, Step};
use super::super::level::Level;
use super::super::visit::{Offenders, join_quote, pluralize};

/// The check.
pub static CHECK: PodCheck = PodCheck {
    check: Check {
        id: "restrictedVolumes",
        summary: "Volumes are of unprivileged types.",
        fix: "Use configMap, secret, emptyDir, a claim or CSI instead.",
        fields: &["spec.volumes[*]"],
    },
    level: Level::Restricted,
    steps: &[Step {
        from: 0,
        overrides: &["hostPathVolumes"],
        run: restricted_volumes_1_0,
    }],
};

fn restricted_volumes_1_0(pod: &PodView<'_, '_>) -> Option<Failure> {
    let mut offenders = Offenders::default();
    for (index, volume) in pod.spec.volumes.iter().enumerate() {
        if is_allowed(volume) {
            continue;
        }
        let kind = restricted_type(volume);
        offenders.names.push(&volume.name);
        offenders.values.insert(kind.unwrap_or("unknown"));
        offenders.fields.push(
            FieldPath::of("spec.volumes")
                .index(index)
                .field(kind.unwrap_or_default()),
        );
    }
    offenders.none_or(|offenders| Failure {
        reason: "restricted volume types",
        detail: format!(
            "{} {} {} {} {}",
            pluralize("volume", "volumes", offenders.names.len()),
            join_quote(&offenders.names),
            pluralize("uses", "use", offenders.names.len()),
            pluralize(
                "restricted volume type",
                "restricted volume types",
                offenders.values.len()
            ),
            offenders.values_text()
        ),
        fields: offenders.fields,
        fix: None,
    })
}

fn is_allowed(volume: &Volume<'_>) -> bool {
    volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some()
}

/// The type of a volume that is not allowed; of several the first in upstream's order. `None` for
/// a type upstream does not know, or none at all.
fn restricted_type(volume: &Volume<'_>) -> Option<&'static str> {
    let types = [
        ("hostPath", volume.host_path),
        ("gcePersistentDisk", volume.gce_persistent_disk),
        ("awsElasticBlockStore", volume.aws_elastic_block_store),
        ("gitRepo", volume.git_repo),
        ("nfs", volume.nfs),
        ("iscsi", volume.iscsi),
        ("glusterfs", volume.glusterfs),
        ("rbd", volume.rbd),
        ("flexVolume", volume.flex_volume),
        ("cinder", volume.cinder),
        ("cephfs", volume.cephfs),
        ("flocker", volume.flocker),
        ("fc", volume.fc),
        ("azureFile", volume.azure_file),
        ("vsphereVolume", volume.vsphere_volume),
        ("quobyte", volume.quobyte),
        ("azureDisk", volume.azure_disk),
        ("photonPersistentDisk", volume.photon_persistent_disk),
        ("portworxVolume", volume.portworx_volume),
        ("scaleIO", volume.scale_io),
        ("storageos", volume.storageos),
    ];
    types
        .into_iter()
        .find_map(|(name, source)| source.map(|_| name))
}
