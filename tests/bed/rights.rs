//! Who may do what in a bed.

use serde_json::{Value, json};

use super::{Bed, Call, definitions};

impl Bed {
    /// What the chart grants, and what people may do.
    pub(super) fn grant_tidegate_its_rights(&self) {
        let mut rules = vec![
            json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}),
            json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}),
        ];
        rules.extend(definitions::rules());
        // The chart has a ClusterRole called tidegate.
        self.grant("bed-tidegate", "User", "tidegate", &rules);
        let (people, rules) = (definitions::PEOPLE, definitions::rules_of_people());
        self.grant(people, "Group", people, &rules);
    }

    /// Gives a user or a group these rights everywhere.
    fn grant(&self, name: &str, kind: &str, subject: &str, rules: &[Value]) {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
        });
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        self.api
            .must(&Call::post(format!("{rbac}/clusterroles"), &role));
        self.api
            .must(&Call::post(format!("{rbac}/clusterrolebindings"), &binding));
    }
}
