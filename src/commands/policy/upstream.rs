//! Upstream's `PodSecurityConfiguration` as the `ControlPolicy` that equals it.
//!
//! Read strictly, as the API server reads it (`LoadFromData` in
//! `k8s.io/pod-security-admission/admission/api/load`): a field it does not know is an error.

use std::fmt::Write;

use crate::commands::policies::PolicyError;
use crate::controls::pod_security::labels::Levels;
use crate::controls::pod_security::settings::{Exemptions, read_exemptions, read_levels};
use crate::document::source::Object;
use crate::policy::parse;
use crate::policy::settings::{Cursor, Fields, Problems, unknown};

const CONFIGURATION: &str = "PodSecurityConfiguration";
const GROUP: &str = "pod-security.admission.config.k8s.io";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const PLUGIN: &str = "PodSecurity";
const WRAPPERS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];

/// Whether an object is one of upstream's files.
pub(super) fn is_upstream(object: &Object) -> bool {
    matches!(
        parse::kind(&object.node),
        Some((_, CONFIGURATION | "AdmissionConfiguration"))
    )
}

/// The `ControlPolicy` that equals such a file, as YAML.
///
/// # Errors
/// Everything that keeps the API server from taking the file.
pub(super) fn convert(object: &Object) -> Result<String, Vec<PolicyError>> {
    let mut problems = Problems::default();
    let root = Cursor::root(&object.node);
    let wrapped = matches!(
        parse::kind(&object.node),
        Some((_, "AdmissionConfiguration"))
    );
    let configuration = if wrapped {
        unwrap(&root, &mut problems)
    } else {
        Some(root)
    };
    let policy = configuration.map(|configuration| read(&configuration, &mut problems));
    match policy {
        Some((levels, exemptions)) if problems.0.is_empty() => Ok(write(&levels, &exemptions)),
        _ => {
            let each = problems.0.into_iter();
            Err(each
                .map(|problem| PolicyError::new(&object.source, problem))
                .collect())
        }
    }
}

/// The configuration of the plug-in `PodSecurity` within an `AdmissionConfiguration`.
fn unwrap<'n>(root: &Cursor<'n>, problems: &mut Problems) -> Option<Cursor<'n>> {
    let fields = root.fields(&["apiVersion", "kind", "plugins"], problems);
    expect(&fields, "apiVersion", &WRAPPERS, problems);
    let mut found = None;
    for plugin in fields
        .get("plugins")
        .map(|plugins| plugins.elements(problems))
        .unwrap_or_default()
    {
        let fields = plugin.fields(&["name", "path", "configuration"], problems);
        if fields.get("name").and_then(|name| name.text(problems)) != Some(PLUGIN) {
            continue;
        }
        if found.is_some() {
            problems.add(&plugin, "the plug-in PodSecurity comes twice");
            continue;
        }
        match (fields.get("configuration"), fields.get("path")) {
            (Some(configuration), _) => found = Some(configuration.clone()),
            (None, Some(path)) => {
                problems.add(path, "its configuration is in another file: lint that one");
            }
            (None, None) => problems.add(&plugin, "the plug-in PodSecurity has no configuration"),
        }
    }
    if found.is_none() && problems.0.is_empty() {
        problems.add(root, "there is no plug-in PodSecurity in it");
    }
    found
}

fn read(configuration: &Cursor<'_>, problems: &mut Problems) -> (Levels, Exemptions) {
    let fields = configuration.fields(&["apiVersion", "kind", "defaults", "exemptions"], problems);
    let versions = VERSIONS.map(|version| format!("{GROUP}/{version}"));
    expect(
        &fields,
        "apiVersion",
        &versions.each_ref().map(String::as_str),
        problems,
    );
    expect(&fields, "kind", &[CONFIGURATION], problems);
    for name in ["apiVersion", "kind"] {
        if fields.get(name).is_none() {
            problems.add(configuration, format!("no {name}"));
        }
    }
    (
        fields
            .get("defaults")
            .map(|field| read_levels(field, problems))
            .unwrap_or_default(),
        fields
            .get("exemptions")
            .map(|field| read_exemptions(field, problems))
            .unwrap_or_default(),
    )
}

/// A string that must be one of `known`.
fn expect(fields: &Fields<'_>, name: &str, known: &[&str], problems: &mut Problems) {
    if let Some(field) = fields.get(name)
        && let Some(text) = field.text(problems)
        && !known.contains(&text)
    {
        problems.add(field, unknown(name, text, known));
    }
}

fn write(levels: &Levels, exemptions: &Exemptions) -> String {
    let mut out = String::from(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ControlPolicy\nmetadata:\n  name: pod-security\nspec:\n  \
         mode: enforce\n  controls:\n    pod-security:\n      settings:\n        default:\n",
    );
    for (name, value) in [
        ("enforce", levels.enforce),
        ("audit", levels.audit),
        ("warn", levels.warn),
    ] {
        let _ = writeln!(
            out,
            "          {name}: {}\n          {name}-version: {}",
            value.level, value.version
        );
    }
    let lists = [
        ("usernames", &exemptions.usernames),
        ("namespaces", &exemptions.namespaces),
        ("runtimeClasses", &exemptions.runtime_classes),
    ];
    if lists.iter().any(|(_, names)| !names.is_empty()) {
        out.push_str("        exemptions:\n");
    }
    for (name, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        let _ = writeln!(out, "          {name}:");
        for name in names {
            // A JSON string is a YAML string whatever it holds.
            let _ = writeln!(
                out,
                "          - {}",
                serde_json::Value::from(name.as_str())
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::policies::{Written, read_policy};
    use crate::document::source::objects;

    fn first(text: &str) -> Object {
        objects("a.yaml", text.as_bytes().to_vec()).0.remove(0)
    }

    #[test]
    fn what_is_written_is_read_back_with_the_same_settings() {
        let text = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n\
                    defaults: {enforce: baseline, enforce-version: v1.30, warn: restricted}\n\
                    exemptions: {usernames: ['system:serviceaccount:a:b', \"x: \\\"y\\\"\"], namespaces: [kube-system], runtimeClasses: [kata]}\n";
        let yaml = convert(&first(text)).unwrap();
        let Ok(Written::Policy(policy)) = read_policy(&first(&yaml)) else {
            panic!("{yaml}");
        };
        let rule = format!("{:?}", policy.controls[0].rule.as_ref().unwrap());
        assert!(
            rule.contains(r#"usernames: ["system:serviceaccount:a:b", "x: \"y\""]"#),
            "{rule}"
        );
        assert!(rule.contains("Baseline, version: Minor(30)"), "{rule}");
        assert!(rule.contains(r#"runtime_classes: ["kata"]"#), "{rule}");
    }

    #[test]
    fn a_file_the_api_server_refuses_is_refused() {
        let head =
            "kind: PodSecurityConfiguration\napiVersion: pod-security.admission.config.k8s.io/";
        for (rest, part) in [
            ("v1\ndefalts: {}", "did you mean \"defaults\""),
            ("v2", "unknown apiVersion"),
            ("v1\ndefaults: {enforce: Baseline}", "\"Baseline\" must be"),
            ("v1\nexemptions: {namespaces: [a, a]}", "comes twice"),
            ("v1\nexemptions: {namespaces: [A]}", "DNS label"),
        ] {
            let errors = convert(&first(&format!("{head}{rest}\n"))).unwrap_err();
            assert!(errors[0].message.contains(part), "{rest}: {errors:?}");
        }
    }

    #[test]
    fn the_plug_in_is_found_among_others() {
        let wrap = |plugins: &str| {
            first(&format!(
                "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: {plugins}\n"
            ))
        };
        let good = "[{name: Other, configuration: {x: y}}, {name: PodSecurity, configuration: {apiVersion: pod-security.admission.config.k8s.io/v1beta1, kind: PodSecurityConfiguration, defaults: {audit: restricted}}}]";
        assert!(convert(&wrap(good)).unwrap().contains("audit: restricted"));
        for (plugins, part) in [
            ("[]", "no plug-in PodSecurity"),
            ("[{name: PodSecurity, path: b.yaml}]", "another file"),
            (
                "[{name: PodSecurity, configuration: {kind: PodSecurityConfiguration}}]",
                "no apiVersion",
            ),
        ] {
            assert!(
                convert(&wrap(plugins)).unwrap_err()[0]
                    .message
                    .contains(part),
                "{plugins}"
            );
        }
    }
}
