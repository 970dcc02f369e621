//! Certificates from a Secret: what every replica reads of it, and what the one that leads writes.
//!
//! ```text
//!  Secret ----watch----> Feed (every replica): served once the API servers trust it
//!    ^                     ^
//!    | own                 | watch
//!  Keeper (the leader) --patch--> caBundle of the webhook configuration
//! ```
//!
//! The plan (`plan`) is a pure function. Nothing here is needed to go on serving: when the API server
//! is away, the certificate in use stays.

use std::time::Duration;

pub mod bundle;
pub mod content;
pub mod feed;
pub mod keeper;
pub mod make;
pub mod plan;
pub mod trust;

pub use self::bundle::Bundle;
pub use self::feed::{Feed, FeedState};
pub use self::keeper::Keeper;
pub use self::plan::Lives;
pub use self::trust::Lingering;

use serde_json::Value;

use super::ObjectName;
use super::one::Place;

/// Who keeps what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keeping {
    /// tidegate makes CA and leaf, and keeps the `caBundle`.
    Own,
    /// Somebody else keeps the Secret; tidegate keeps the `caBundle` as its `ca.crt` says.
    Given,
    /// Somebody else keeps both.
    Injected,
}

/// What the flags say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--tls-secret`.
    pub secret: ObjectName,
    /// `--webhook`.
    pub webhook: Option<String>,
    /// `--tls-mode`.
    pub keeping: Keeping,
    /// `--dns-name`: what a made certificate is for.
    pub names: Vec<String>,
    /// `--lease`: the owner of a Secret that is made.
    pub lease: Option<ObjectName>,
    /// How long what is made is good for.
    pub lives: Lives,
    /// How long a CA must have been in the `caBundle` before a leaf of it is served. API servers
    /// were seen to act on a change half a second later.
    pub settle: Duration,
    /// How long a CA stays in the `caBundle` after it has left `ca.crt`.
    pub linger: Duration,
}

/// The default of [`Settings::settle`].
pub const SETTLE: Duration = Duration::from_secs(10);
/// The default of [`Settings::linger`]: enough for every replica to have taken up another leaf, and
/// an end to the trust in a CA that was deleted on purpose.
pub const LINGER: Duration = Duration::from_mins(10);

impl Settings {
    /// Where the Secret is.
    pub fn secret_place(&self) -> Place {
        Place {
            path: format!("/api/v1/namespaces/{}/secrets", self.secret.namespace),
            name: self.secret.name.clone(),
        }
    }
}

/// Where a `ValidatingWebhookConfiguration` is.
pub fn webhook_place(name: &str) -> Place {
    Place {
        path: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations".to_owned(),
        name: name.to_owned(),
    }
}

/// The CAs in the `ca.crt` of a Secret.
///
/// # Errors
/// In words; an empty `ca.crt` is one too.
pub fn bundle_of(secret: &Value) -> Result<Bundle, String> {
    content::Content::of(secret).bundle()
}
