//! Resources of kinds, as the API server's discovery would tell.

/// Kinds that belong to no namespace: group and kind.
const CLUSTER_SCOPED: [(&str, &str); 39] = [
    ("", "ComponentStatus"),
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    (
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("authentication.k8s.io", "SelfSubjectReview"),
    ("authentication.k8s.io", "TokenReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "SubjectAccessReview"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("internal.apiserver.k8s.io", "StorageVersion"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "DeviceTaintRule"),
    ("resource.k8s.io", "ResourceSlice"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
    ("tidegate.dev", "ControlPolicy"),
    ("tidegate.dev", "ImageTrust"),
];

/// Whether objects of a kind belong to no namespace. Of a kind that is not known a namespace is
/// believed, since most custom resources have one.
pub(super) fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&(group, kind))
}

/// The resource of a kind: its plural in lower case, guessed by the rule of apimachinery's
/// `UnsafeGuessKindToResource`, which is right for every kind of the API itself.
pub(super) fn resource(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular.ends_with("endpoints") {
        return singular;
    }
    if let Some(stem) = singular.strip_suffix('y') {
        // `Gateway` is an exception of its API: `gateways`.
        let vowel = stem.ends_with(['a', 'e', 'i', 'o', 'u']);
        return if vowel {
            singular + "s"
        } else {
            format!("{stem}ies")
        };
    }
    if singular.ends_with('s') {
        singular + "es"
    } else {
        singular + "s"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_plurals() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("NetworkPolicy", "networkpolicies"),
            ("Ingress", "ingresses"),
            ("StorageClass", "storageclasses"),
            ("Endpoints", "endpoints"),
            ("Gateway", "gateways"),
            ("CSIStorageCapacity", "csistoragecapacities"),
            ("DaemonSet", "daemonsets"),
        ] {
            assert_eq!(resource(kind), expected);
        }
    }

    #[test]
    fn only_known_kinds_are_cluster_scoped() {
        assert!(
            is_cluster_scoped("", "Namespace")
                && is_cluster_scoped("rbac.authorization.k8s.io", "ClusterRole")
        );
        assert!(!is_cluster_scoped("", "Pod") && !is_cluster_scoped("example.org", "Namespace"));
    }
}
