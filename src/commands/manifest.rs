//! A manifest as the request that would create it.

mod kinds;

use std::borrow::Cow;

use crate::document::Node;
use crate::json::Raw;
use crate::objects::Text;
use crate::review::{Kind, Operation, Request, Resource};

/// An object of a file, as the API server would see it arrive.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Group and version as written.
    pub api_version: String,
    /// Kind as written.
    pub kind: String,
    /// Name; empty where the API server is to make one.
    pub name: String,
    /// The start of a name the API server is to make.
    pub generate_name: String,
    /// Namespace; empty for what belongs to none.
    pub namespace: String,
    json: String,
    resource: String,
}

impl Manifest {
    /// Reads what the request needs from an object. A namespaced one that names no namespace is in
    /// `default_namespace`.
    pub fn new(object: &Node, default_namespace: &str) -> Manifest {
        let text = |key| {
            object
                .get(key)
                .and_then(Node::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let metadata = |key| {
            let value = object
                .get("metadata")
                .and_then(|metadata| metadata.get(key)?.as_str());
            value.filter(|value| !value.is_empty())
        };
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, _) = group_version(&api_version);
        let namespace = if kinds::is_cluster_scoped(group, &kind) {
            ""
        } else {
            metadata("namespace").unwrap_or(default_namespace)
        };
        Manifest {
            name: metadata("name").unwrap_or_default().to_owned(),
            generate_name: metadata("generateName").unwrap_or_default().to_owned(),
            namespace: namespace.to_owned(),
            json: object.to_json(),
            resource: kinds::resource(&kind),
            api_version,
            kind,
        }
    }

    /// The request that would create the object.
    pub fn request(&self) -> Request<'_> {
        let (group, version) = group_version(&self.api_version);
        let text = |text| Text(Cow::Borrowed(text));
        // The API server sets a Namespace's own name as the namespace of a request about it.
        let itself = group.is_empty() && self.kind == "Namespace";
        let namespace = if itself { &self.name } else { &self.namespace };
        Request {
            kind: Kind {
                group: text(group),
                version: text(version),
                kind: text(&self.kind),
            },
            resource: Resource {
                group: text(group),
                version: text(version),
                resource: text(&self.resource),
            },
            name: text(&self.name),
            namespace: text(namespace),
            operation: Operation::Create,
            object: Some(Raw::assume(&self.json)),
            ..Request::default()
        }
    }
}

fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn manifest(text: &str) -> Manifest {
        Manifest::new(&parse(text).remove(0).unwrap().node, "default")
    }

    #[test]
    fn a_manifest_becomes_the_request_that_creates_it() {
        let manifest = manifest("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}");
        let request = manifest.request();
        assert_eq!(
            (&*request.resource.group, &*request.resource.resource),
            ("apps", "deployments")
        );
        assert_eq!((&*request.name, &*request.namespace), ("web", "default"));
        assert_eq!(request.operation, Operation::Create);
    }

    #[test]
    fn a_namespace_is_in_itself_and_a_cluster_role_in_none() {
        let namespace = manifest("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
        assert_eq!(
            (&*namespace.request().namespace, &*namespace.namespace),
            ("shop", "")
        );
        let role = manifest(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a, namespace: b}}",
        );
        assert_eq!(&*role.request().namespace, "");
    }
}
