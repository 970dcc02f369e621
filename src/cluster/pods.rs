//! The pods of a namespace as JSON texts, for the warning when its level is raised.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::wire::{ListMeta, explain};
use crate::facts::{EXISTING_PODS_LIMIT, ExistingPods};

/// The longest a list may take, as upstream (`namespacePodCheckTimeout` in
/// `admission/admission.go`).
const LONGEST: Duration = Duration::from_secs(1);
const PAGE: u32 = 500;
/// All pages together.
const MAX_BYTES: usize = 32 << 20;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// The pods of `namespace`, as many as the limits on count, bytes and time let in. The error says
/// why there are none at all.
pub(super) async fn list(
    client: &Client,
    namespace: &str,
    deadline: Instant,
) -> Result<ExistingPods, String> {
    let now = Instant::now();
    let deadline = now + LONGEST.min(deadline.saturating_duration_since(now) / 2);
    let mut found = ExistingPods::default();
    let mut bytes = 0;
    let mut next: Option<String> = None;
    loop {
        let read = page(client, namespace, next.as_deref(), MAX_BYTES - bytes);
        let text = match timeout_at(deadline, read).await {
            Ok(Ok(text)) => text,
            // A part is worth more than nothing: its total says that it is one.
            Ok(Err(_)) | Err(_) if next.is_some() => return Ok(found),
            Ok(Err(why)) => return Err(format!("pods could not be listed: {why}")),
            Err(_elapsed) => return Err("pods could not be listed in time".to_owned()),
        };
        bytes += text.len();
        let page: Page<'_> = serde_json::from_slice(&text)
            .map_err(|error| format!("the list of pods cannot be read: {error}"))?;
        let room = EXISTING_PODS_LIMIT - found.pods.len();
        let items = page.items.unwrap_or_default();
        let listed = found.pods.len() + items.len();
        found.total = listed + page.metadata.remaining_item_count.unwrap_or(0);
        found
            .pods
            .extend(items.into_iter().take(room).map(|pod| Box::from(pod.get())));
        match page.metadata.next() {
            Some(token) if found.pods.len() < EXISTING_PODS_LIMIT => next = Some(token.to_owned()),
            _ => return Ok(found),
        }
    }
}

async fn page(
    client: &Client,
    namespace: &str,
    next: Option<&str>,
    max: usize,
) -> Result<Vec<u8>, String> {
    let parameters = ListParams {
        limit: Some(PAGE),
        continue_token: next.map(str::to_owned),
        ..ListParams::default()
    };
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/pods"))
        .list(&parameters)
        .map_err(|error| error.to_string())?;
    let response = client
        .send(request.map(Body::from))
        .await
        .map_err(|error| explain(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), max).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            format!("they are over {MAX_BYTES} bytes")
        } else {
            error.to_string()
        }
    })?;
    if status != StatusCode::OK {
        return Err(format!("the API server answered {}", status.as_u16()));
    }
    Ok(body.to_bytes().into())
}
