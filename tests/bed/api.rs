//! Calls to the API server, and what it says about them: warnings, audit events, metrics.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;
use tokio::runtime::Runtime;

/// A client with the rights of an administrator. Its calls block and are never repeated.
pub struct Api {
    runtime: Runtime,
    client: kube::Client,
    audit_log: PathBuf,
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Api")
            .field("audit_log", &self.audit_log)
            .finish_non_exhaustive()
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    content_type: &'static str,
    user: Option<String>,
    groups: Vec<String>,
}

impl Call {
    /// A call without a body.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Vec::new(),
            content_type: "application/json",
            user: None,
            groups: vec!["system:masters".to_owned()],
        }
    }

    /// A POST of JSON.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).body("application/json", body.to_string())
    }

    /// A PUT of JSON.
    pub fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PUT", path).body("application/json", body.to_string())
    }

    /// A merge patch; objects of built-in kinds are patched strategically.
    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PATCH", path).body("application/strategic-merge-patch+json", body.to_string())
    }

    /// A JSON merge patch, for objects of kinds that are not built in.
    pub fn merge(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PATCH", path).body("application/merge-patch+json", body.to_string())
    }

    /// A JSON patch.
    pub fn json_patch(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PATCH", path).body("application/json-patch+json", body.to_string())
    }

    /// The same call with a body.
    pub fn body(self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            content_type,
            ..self
        }
    }

    /// The same call in the name of another user, who is an administrator too.
    pub fn user(self, name: &str) -> Self {
        Self {
            user: Some(name.to_owned()),
            ..self
        }
    }

    /// The same call in the name of another user who is in these groups only.
    pub fn person(self, name: &str, groups: &[&str]) -> Self {
        Self {
            user: Some(name.to_owned()),
            groups: groups.iter().map(ToString::to_string).collect(),
            ..self
        }
    }

    /// The same call, judged but not stored.
    pub fn dry_run(self) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}dryRun=All", self.path);
        Self { path, ..self }
    }
}

/// What the API server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status, or 0 when there was no answer.
    pub status: u16,
    /// The texts of the `Warning` headers, in order.
    pub warnings: Vec<String>,
    /// The object, or the `Status` that says why there is none.
    pub body: Value,
    /// Under which id the call is in the audit log.
    pub audit_id: String,
}

impl Answer {
    /// Whether the API server did what was asked.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The message of the `Status`, empty for an object.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The causes of the `Status` as `(reason, field)`: of a denial by tidegate `(control/check, path)`.
    pub fn causes(&self) -> Vec<(&str, &str)> {
        let causes = self.body["details"]["causes"].as_array();
        causes
            .into_iter()
            .flatten()
            .map(|cause| {
                (
                    cause["reason"].as_str().unwrap_or_default(),
                    cause["field"].as_str().unwrap_or_default(),
                )
            })
            .collect()
    }
}

impl Api {
    /// A client for the API server at `url` with `ca.crt`, `admin.crt` and `admin.key` of `folder`.
    pub fn new(folder: &Path, url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let mut config = kube::Config::new(url.parse().unwrap());
        config.root_cert_file = Some(folder.join("ca.crt"));
        config.auth_info.client_certificate = Some(path("admin.crt"));
        config.auth_info.client_key = Some(path("admin.key"));
        config.read_timeout = Some(Duration::from_mins(1));
        config.default_retry = false;
        let client = {
            let _context = runtime.enter();
            kube::Client::try_from(config).unwrap()
        };
        Self {
            runtime,
            client,
            audit_log: folder.join("audit.log"),
        }
    }

    /// Makes the call and waits for the answer; no answer is an `Answer` too, with the error as message.
    pub fn call(&self, call: &Call) -> Answer {
        let mut request = Request::builder()
            .method(call.method)
            .uri(&call.path)
            .header("Accept", "application/json")
            .header("Content-Type", call.content_type);
        if let Some(user) = &call.user {
            request = request.header("Impersonate-User", user);
            for group in &call.groups {
                request = request.header("Impersonate-Group", group);
            }
        }
        let request = request.body(Body::from(call.body.clone())).unwrap();
        self.runtime.block_on(async {
            match self.client.send(request).await {
                Ok(response) => read(response).await,
                Err(error) => no_answer(&error),
            }
        })
    }

    /// Makes the call and fails the test unless it succeeds.
    pub fn must(&self, call: &Call) -> Answer {
        let answer = self.call(call);
        assert!(
            answer.succeeded(),
            "{} {}: {} {}",
            call.method,
            call.path,
            answer.status,
            answer.body
        );
        answer
    }

    /// The event of the audit log that says how the call of this id ended. The API server writes it
    /// before it answers.
    pub fn audit_event(&self, audit_id: &str) -> Value {
        let log = std::fs::read_to_string(&self.audit_log).unwrap();
        log.lines()
            .filter(|line| line.contains(audit_id))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["auditID"] == audit_id && event["stage"] == "ResponseComplete")
            .unwrap_or_else(|| panic!("the audit log has no event {audit_id}"))
    }

    /// The same for many calls: the annotations of all events so far, by id.
    pub fn audit_annotations(&self) -> HashMap<String, Value> {
        let log = std::fs::read_to_string(&self.audit_log).unwrap();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["stage"] == "ResponseComplete")
            .filter_map(|event| {
                let id = event["auditID"].as_str()?.to_owned();
                Some((id, event["annotations"].clone()))
            })
            .collect()
    }

    /// The sum of a metric's values over all series whose labels include the given ones.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let text = self.runtime.block_on(async {
            let response = self.client.send(request).await.unwrap();
            response.into_body().collect_bytes().await.unwrap()
        });
        sum(&String::from_utf8_lossy(&text), name, labels)
    }
}

/// The sum of a metric's values in the Prometheus text format over the series with these labels.
pub fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    text.lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .filter(|line| {
            labels
                .iter()
                .all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn read(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers();
    let warnings = headers
        .get_all("Warning")
        .iter()
        .map(|value| warning_text(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let audit_id = headers
        .get("Audit-Id")
        .map(|id| id.to_str().unwrap().to_owned())
        .unwrap_or_default();
    match response.into_body().collect_bytes().await {
        Ok(bytes) => {
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            Answer {
                status,
                warnings,
                body,
                audit_id,
            }
        }
        Err(error) => no_answer(&error),
    }
}

fn no_answer(error: &dyn std::error::Error) -> Answer {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    Answer {
        status: 0,
        warnings: Vec::new(),
        body: serde_json::json!({ "message": message }),
        audit_id: String::new(),
    }
}

/// The text of a header `299 - "TEXT"` (RFC 7234, 5.5), with its quoted pairs resolved.
fn warning_text(header: &str) -> String {
    let quoted = header.splitn(3, ' ').nth(2).unwrap_or_default();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(quoted);
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    text
}
