//! The environment and the arguments of a container, as a kubelet makes them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::volumes::Source;
use super::{NAME, NODE_ADDRESS, items, text};
use crate::bed::place::API_ADDRESS;

/// The variables of a container, in order of their names; an error says why it cannot be started.
pub fn variables(
    source: &Source<'_>,
    container: &Value,
    address: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut all: BTreeMap<String, String> = [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOSTNAME", text(&source.pod["metadata"]["name"])),
        ("KUBERNETES_SERVICE_HOST", API_ADDRESS),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for variable in items(&container["env"]) {
        let name = text(&variable["name"]).to_owned();
        let value = match &variable["valueFrom"] {
            Value::Null => Some(expand(text(&variable["value"]), &all)),
            from => from_elsewhere(source, container, address, from)
                .map_err(|error| format!("variable {name}: {error}"))?,
        };
        if let Some(value) = value {
            all.insert(name, value);
        }
    }
    Ok(all)
}

/// The command line after the image's own program.
pub fn arguments(container: &Value, variables: &BTreeMap<String, String>) -> Vec<String> {
    items(&container["args"])
        .map(|argument| expand(text(argument), variables))
        .collect()
}

/// What a container is run as instead of the image's own program.
pub fn command(container: &Value, variables: &BTreeMap<String, String>) -> Vec<String> {
    items(&container["command"])
        .map(|argument| expand(text(argument), variables))
        .collect()
}

/// A value that is not in the pod itself; nothing when it is optional and not there.
fn from_elsewhere(
    source: &Source<'_>,
    container: &Value,
    address: &str,
    from: &Value,
) -> Result<Option<String>, String> {
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return field(source.pod, path, address).map(Some);
    }
    if !from["resourceFieldRef"].is_null() {
        return resource(container, &from["resourceFieldRef"]).map(Some);
    }
    for (key, kind) in [
        ("secretKeyRef", "secrets"),
        ("configMapKeyRef", "configmaps"),
    ] {
        let reference = &from[key];
        if reference.is_null() {
            continue;
        }
        let optional = reference["optional"] == true;
        let (object, entry) = (text(&reference["name"]), text(&reference["key"]));
        let Some(mut data) = source.data(kind, object, optional)? else {
            return Ok(None);
        };
        return match data.remove(entry) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            None if optional => Ok(None),
            None => Err(format!("{kind} {object} has no key {entry}")),
        };
    }
    Err(format!("the stand-in does not know {from}"))
}

/// A field of the pod by the paths of the downward API.
pub fn field(pod: &Value, path: &str, address: &str) -> Result<String, String> {
    let metadata = &pod["metadata"];
    if let Some((map, key)) = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"))
    {
        let map = &metadata[map.strip_prefix("metadata.").unwrap_or_default()];
        return Ok(text(&map[key]).to_owned());
    }
    let value = match path {
        "metadata.name" => text(&metadata["name"]),
        "metadata.namespace" => text(&metadata["namespace"]),
        "metadata.uid" => text(&metadata["uid"]),
        "spec.nodeName" => NAME,
        "spec.serviceAccountName" => text(&pod["spec"]["serviceAccountName"]),
        "status.podIP" | "status.podIPs" => address,
        "status.hostIP" | "status.hostIPs" => NODE_ADDRESS,
        "metadata.labels" | "metadata.annotations" => {
            let map = &metadata[path.strip_prefix("metadata.").unwrap_or_default()];
            let lines = map.as_object().into_iter().flatten();
            let lines: Vec<String> = lines.map(|(key, value)| format!("{key}={value}")).collect();
            return Ok(lines.join("\n"));
        }
        _ => return Err(format!("the stand-in does not know the field {path}")),
    };
    Ok(value.to_owned())
}

/// A request or limit of the container in units of the divisor, rounded up; what the node has when
/// the container names none.
fn resource(container: &Value, reference: &Value) -> Result<String, String> {
    let path = text(&reference["resource"]);
    let stated = path
        .split_once('.')
        .and_then(|(kind, name)| container["resources"][kind][name].as_str());
    let default = if path.ends_with("cpu") { "8" } else { "16Gi" };
    let divisor = match text(&reference["divisor"]) {
        "" | "0" => "1",
        divisor => divisor,
    };
    let amount = quantity(stated.unwrap_or(default))?;
    // Thousandths on both sides, so that `250m` divides by `1m`.
    Ok(amount.div_ceil(quantity(divisor)?).to_string())
}

/// A quantity in thousandths of its unit.
fn quantity(text: &str) -> Result<u128, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor: u128 = match text.strip_prefix(digits).unwrap_or_default() {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        _ => return Err(format!("the stand-in does not know the quantity {text}")),
    };
    let number: u128 = digits
        .parse()
        .map_err(|_| format!("the stand-in does not know the quantity {text}"))?;
    Ok(number * factor)
}

/// Replaces `$(NAME)` by the variable's value; unknown ones stay, and `$$` is one `$`.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let reference = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = reference {
            match variables.get(name) {
                Some(value) => result.push_str(value),
                None => result.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            result.push('$');
        }
    }
    result + rest
}
