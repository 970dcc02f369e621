//! The volumes of a pod: Secrets, `ConfigMaps`, tokens and fields of the pod as files, and empty folders.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::environment;
use super::files::{self, File, Files};
use super::{items, text};
use crate::bed::{Bed, Call};

/// Between two looks at what is in the volumes.
const REFRESH: Duration = Duration::from_secs(1);

/// Where volumes and variables come from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The bed with the API server.
    pub bed: &'a Bed,
    /// The pod.
    pub pod: &'a Value,
    /// The pod's address.
    pub address: &'a str,
}

impl Source<'_> {
    fn namespace(&self) -> &str {
        text(&self.pod["metadata"]["namespace"])
    }

    /// What is in a Secret or `ConfigMap` of the pod's namespace; nothing when it may be missing.
    pub fn data(
        &self,
        kind: &str,
        name: &str,
        optional: bool,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
        let path = format!("/api/v1/namespaces/{}/{kind}/{name}", self.namespace());
        let answer = self.bed.call(&Call::new("GET", path));
        match answer.status {
            200 => {}
            404 if optional => return Ok(None),
            status => return Err(format!("{kind} {name}: {status} {}", answer.message())),
        }
        let mut data = BTreeMap::new();
        let encoded = if kind == "secrets" {
            "data"
        } else {
            "binaryData"
        };
        for (key, value) in answer.body[encoded].as_object().into_iter().flatten() {
            let bytes: ByteString =
                serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
            data.insert(key.clone(), bytes.0);
        }
        if kind == "configmaps" {
            for (key, value) in answer.body["data"].as_object().into_iter().flatten() {
                data.insert(key.clone(), text(value).as_bytes().to_vec());
            }
        }
        Ok(Some(data))
    }

    /// A token of the pod's service account, as the volume asks for it, and for how long it is good.
    fn token(&self, request: &Value) -> Result<(Vec<u8>, Duration), String> {
        let account = text(&self.pod["spec"]["serviceAccountName"]);
        let seconds = request["expirationSeconds"].as_u64().unwrap_or(3600);
        let metadata = &self.pod["metadata"];
        let mut spec = json!({
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        });
        if let Some(audience) = request["audience"].as_str() {
            spec["audiences"] = json!([audience]);
        }
        let review =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{account}/token",
            self.namespace()
        );
        let answer = self.bed.call(&Call::post(path, &review));
        match answer.body["status"]["token"].as_str() {
            Some(token) => Ok((token.as_bytes().to_vec(), Duration::from_secs(seconds))),
            None => Err(format!(
                "token for {account}: {} {}",
                answer.status,
                answer.message()
            )),
        }
    }
}

/// All volumes of one pod.
#[derive(Debug)]
pub struct Volumes {
    folder: PathBuf,
    written: BTreeMap<String, (Files, u64)>,
    /// By volume and path: a token, and when the next is due.
    tokens: BTreeMap<(String, String), (Vec<u8>, Instant)>,
    next: Instant,
}

impl Volumes {
    /// No volumes yet; they will be in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            written: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next: Instant::now(),
        }
    }

    /// Writes what is new, when a second has passed since the last time.
    pub fn refresh(&mut self, source: &Source<'_>) -> Result<(), String> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let group = source.pod["spec"]["securityContext"]["fsGroup"]
            .as_u64()
            .and_then(|group| u32::try_from(group).ok());
        for volume in items(&source.pod["spec"]["volumes"]) {
            let name = text(&volume["name"]);
            self.write(source, name, volume, group).map_err(|error| {
                format!("MountVolume.SetUp failed for volume {name:?}: {error}")
            })?;
        }
        self.next = Instant::now() + REFRESH;
        Ok(())
    }

    /// The folder or file that is mounted for a mount of a container, and whether it may be written.
    pub fn mounted(&self, pod: &Value, mount: &Value) -> (PathBuf, bool) {
        let name = text(&mount["name"]);
        let empty = items(&pod["spec"]["volumes"])
            .any(|volume| volume["name"] == name && !volume["emptyDir"].is_null());
        let mut path = self.folder.join(name);
        if let Some(inner) = mount["subPath"].as_str().filter(|inner| !inner.is_empty()) {
            path.push(inner);
        }
        (path, empty && mount["readOnly"] != true)
    }

    fn write(
        &mut self,
        source: &Source<'_>,
        name: &str,
        volume: &Value,
        group: Option<u32>,
    ) -> Result<(), String> {
        let folder = self.folder.join(name);
        if !volume["emptyDir"].is_null() {
            return empty(&folder, group).map_err(|error| error.to_string());
        }
        let files = self.files(source, name, volume)?;
        let generation = match self.written.get(name) {
            Some((old, _)) if *old == files => return Ok(()),
            Some((_, generation)) => generation + 1,
            None => 1,
        };
        std::fs::create_dir_all(&folder)
            .and_then(|()| files::write(&folder, &files, group, generation))
            .map_err(|error| error.to_string())?;
        self.written.insert(name.to_owned(), (files, generation));
        Ok(())
    }

    fn files(&mut self, source: &Source<'_>, name: &str, volume: &Value) -> Result<Files, String> {
        let projected = &volume["projected"];
        if projected.is_null() {
            let kind = ["secret", "configMap", "downwardAPI"]
                .into_iter()
                .find(|kind| !volume[kind].is_null())
                .ok_or_else(|| format!("the stand-in does not know {volume}"))?;
            let mode = mode(&volume[kind]["defaultMode"], 0o644);
            return self.part(source, name, &json!({kind: renamed(&volume[kind])}), mode);
        }
        let mut all = Files::new();
        for part in items(&projected["sources"]) {
            all.extend(self.part(source, name, part, mode(&projected["defaultMode"], 0o644))?);
        }
        Ok(all)
    }

    /// The files of one source of a projected volume, which the other volumes are like.
    fn part(
        &mut self,
        source: &Source<'_>,
        name: &str,
        part: &Value,
        mode: u32,
    ) -> Result<Files, String> {
        let token = &part["serviceAccountToken"];
        if !token.is_null() {
            let path = text(&token["path"]).to_owned();
            let key = (name.to_owned(), path.clone());
            let due = self
                .tokens
                .get(&key)
                .is_none_or(|(_, due)| Instant::now() > *due);
            if due {
                let (content, good_for) = source.token(token)?;
                self.tokens
                    .insert(key.clone(), (content, Instant::now() + good_for * 4 / 5));
            }
            let content = self.tokens.get(&key).map(|(content, _)| content.clone());
            return Ok(Files::from([(
                path,
                File {
                    content: content.unwrap_or_default(),
                    mode,
                },
            )]));
        }
        for (key, kind) in [("secret", "secrets"), ("configMap", "configmaps")] {
            if !part[key].is_null() {
                return from_object(source, kind, &part[key], mode);
            }
        }
        let mut files = Files::new();
        for item in items(&part["downwardAPI"]["items"]) {
            let field = text(&item["fieldRef"]["fieldPath"]);
            let content = environment::field(source.pod, field, source.address)?.into_bytes();
            let mode = self::mode(&item["mode"], mode);
            files.insert(text(&item["path"]).to_owned(), File { content, mode });
        }
        if files.is_empty() {
            return Err(format!("the stand-in does not know {part}"));
        }
        Ok(files)
    }
}

/// A volume's `secretName` where a projected source has `name`.
fn renamed(secret: &Value) -> Value {
    let mut secret = secret.clone();
    if let Some(fields) = secret.as_object_mut()
        && let Some(name) = fields.remove("secretName")
    {
        fields.insert("name".to_owned(), name);
    }
    secret
}

fn from_object(source: &Source<'_>, kind: &str, part: &Value, mode: u32) -> Result<Files, String> {
    let optional = part["optional"] == true;
    let name = text(&part["name"]);
    let Some(data) = source.data(kind, name, optional)? else {
        return Ok(Files::new());
    };
    if part["items"].is_null() {
        let files = data
            .into_iter()
            .map(|(key, content)| (key, File { content, mode }));
        return Ok(files.collect());
    }
    let mut files = Files::new();
    for item in items(&part["items"]) {
        let key = text(&item["key"]);
        match data.get(key) {
            Some(content) => {
                let file = File {
                    content: content.clone(),
                    mode: self::mode(&item["mode"], mode),
                };
                files.insert(text(&item["path"]).to_owned(), file);
            }
            None if optional => {}
            None => return Err(format!("{kind} {name} has no key {key}")),
        }
    }
    Ok(files)
}

fn mode(value: &Value, default: u32) -> u32 {
    value
        .as_u64()
        .and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(default)
}

fn empty(folder: &Path, group: Option<u32>) -> std::io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let mut mode = 0o777;
    if let Some(group) = group {
        chown(folder, None, Some(group))?;
        mode |= 0o2000;
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(mode))
}
