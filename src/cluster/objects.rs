//! tidegate's own objects, read once and written by people's commands.

use kube::Client;
use kube::core::Request;
use kube::core::params::GetParams;
use serde_json::{Value, json};

use super::pages::{Pace, Pages, ReadError};
use super::policies::{Held, Key, Kind};

/// What people's commands call themselves in `managedFields`.
const FIELD_MANAGER: &str = "tidegate-cli";

/// All objects of a kind, or those of one namespace. Of an object that is not valid what is in force
/// is what its status says.
///
/// # Errors
/// When the API server does not list them.
pub async fn list(
    client: &Client,
    pace: &Pace,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<Vec<Held>, ReadError> {
    let path = match namespace {
        Some(namespace) => collection(kind, namespace),
        None => kind.path().to_owned(),
    };
    let objects = Pages::new(path).all(client, pace).await?;
    let values = objects
        .iter()
        .filter_map(|object| serde_json::from_str::<Value>(object.get()).ok());
    Ok(values.filter_map(|value| held(kind, &value)).collect())
}

/// One exception.
///
/// # Errors
/// When the API server does not give it.
pub async fn exception(client: &Client, namespace: &str, name: &str) -> Result<Held, ReadError> {
    let request = Request::new(collection(Kind::Exception, namespace))
        .get(name, &GetParams::default())
        .map_err(kube::Error::BuildRequest)?;
    named(&client.request(request).await?)
}

/// Sets or takes away the approval of an exception, if it still is the version that was read.
///
/// # Errors
/// When the API server does not store it: 409 when the version is another, 403 when somebody or
/// something is against it.
pub async fn set_approval(
    client: &Client,
    exception: &Held,
    approval: Option<Value>,
) -> Result<Held, ReadError> {
    let path = format!(
        "{}/status?fieldManager={FIELD_MANAGER}",
        exception.key.path()
    );
    let body = json!({
        "metadata": {"resourceVersion": exception.resource_version},
        "status": {"approval": approval},
    });
    let request = http::Request::patch(path)
        .header("Content-Type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    named(&client.request(request).await?)
}

fn collection(kind: Kind, namespace: &str) -> String {
    let plural = kind.plural();
    format!("/apis/tidegate.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

fn named(exception: &Value) -> Result<Held, ReadError> {
    held(Kind::Exception, exception).ok_or_else(|| ReadError {
        code: None,
        why: "the API server answered with an object that has no name".to_owned(),
    })
}

fn held(kind: Kind, object: &Value) -> Option<Held> {
    let key = Key::of(kind, object)?;
    Some(Held::read(key, object, None))
}
