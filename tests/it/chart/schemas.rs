//! kubeconform and its schemas, which the chart is held against.

use crate::bed::{MINORS, validate};

const GOOD: &str = "\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {app: web}}}
---
apiVersion: tidegate.dev/v1alpha1
kind: ControlPolicy
metadata: {name: web}
";

#[test]
fn every_version_of_kubernetes_has_schemas_that_refuse_unknown_fields() {
    for minor in MINORS {
        validate(minor, GOOD, &["ControlPolicy"]).unwrap();
        let unknown = GOOD.replace("unhealthyPodEvictionPolicy", "unhealthyPodEviction");
        let report = validate(minor, &unknown, &["ControlPolicy"]).unwrap_err();
        assert!(report.contains("unhealthyPodEviction"), "{report}");
    }
}

#[test]
fn a_kind_without_a_schema_is_not_passed_over() {
    let report = validate("1.37", GOOD, &[]).unwrap_err();
    assert!(report.contains("ControlPolicy"), "{report}");
}
