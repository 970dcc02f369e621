//! What the objects users write have in common: version, kind, metadata.

use super::API_VERSION;
use super::settings::{Cursor, Problems};

/// The metadata tidegate reads of its own objects.
#[derive(Clone, Debug)]
pub struct Meta<'n> {
    /// `metadata.name`.
    pub name: &'n str,
    /// `metadata.namespace`; empty where the kind has none.
    pub namespace: &'n str,
    /// `metadata.generation`, counted by the API server with every change of the spec.
    pub generation: Option<i64>,
    /// `metadata.annotations`.
    pub annotations: Vec<(&'n str, Cursor<'n>)>,
}

impl<'n> Meta<'n> {
    /// The fields of every object.
    pub const FIELDS: [&'static str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

    /// Reads the metadata of an object of `kind`. A `ControlException` in a file may leave its
    /// namespace to be `default`, as kubectl does.
    pub fn read(root: &Cursor<'n>, kind: &str, problems: &mut Problems) -> Option<Meta<'n>> {
        let entries = root.entries(&mut Problems::default());
        let field = |name: &str| {
            let mut named = entries.iter().filter(|(key, _)| *key == name);
            named.next().map(|(_, cursor)| cursor)
        };
        if let Some(version) = field("apiVersion")
            && version
                .text(problems)
                .is_some_and(|text| text != API_VERSION)
        {
            problems.add(version, format!("expected {API_VERSION}"));
        }
        let Some(metadata) = field("metadata").filter(|metadata| !metadata.is_null()) else {
            problems.add(root, format!("a {kind} needs metadata.name"));
            return None;
        };
        let entries = metadata.entries(problems);
        let field = |name: &str| {
            let mut named = entries.iter().filter(|(key, _)| *key == name);
            named
                .next()
                .map(|(_, cursor)| cursor)
                .filter(|cursor| !cursor.is_null())
        };
        let Some(name) = field("name").and_then(|name| name.text(problems)) else {
            problems.add(metadata, format!("a {kind} needs a name"));
            return None;
        };
        Some(Meta {
            name,
            namespace: match field("namespace") {
                Some(namespace) => namespace.text(problems)?,
                None if kind == "ControlException" => "default",
                None => "",
            },
            generation: field("generation")
                .and_then(|generation| generation.whole_number(problems)),
            annotations: field("annotations")
                .map(|annotations| annotations.entries(problems))
                .unwrap_or_default(),
        })
    }
}
