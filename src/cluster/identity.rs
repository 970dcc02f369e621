//! Who tidegate is at the API server.

use std::sync::OnceLock;

use kube::Client;
use serde::Deserialize;

use super::watch::Pause;
use super::wire::explain;

/// Asks the API server for the user name of the client's own credentials until it says it. Everybody
/// may ask that (`system:basic-user`).
pub async fn learn(client: &Client, own_user: &OnceLock<String>) {
    let mut pause = Pause::default();
    let mut said = false;
    loop {
        match ask(client).await {
            Ok(name) => {
                tracing::info!(user = %name, "known to the API server");
                // It is asked once only.
                let _ = own_user.set(name);
                return;
            }
            Err(why) if !said => {
                said = true;
                tracing::warn!(%why, "cannot learn the own user name; the status of policies and exceptions is not written until then");
            }
            Err(_) => {}
        }
        pause.wait().await;
    }
}

/// The user name of the client's credentials.
///
/// # Errors
/// In words, when the API server does not say.
pub async fn ask(client: &Client) -> Result<String, String> {
    #[derive(Clone, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Review {
        status: Status,
    }
    #[derive(Clone, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        user_info: UserInfo,
    }
    #[derive(Clone, Deserialize)]
    struct UserInfo {
        username: String,
    }
    let body = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("Content-Type", "application/json")
        .body(body.as_bytes().to_vec())
        .map_err(|error| error.to_string())?;
    let review: Review = client
        .request(request)
        .await
        .map_err(|error| explain(&error))?;
    Ok(review.status.user_info.username)
}
