//! The flags of `tidegate serve` about what a replica keeps at the API server.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values;
use crate::cluster::{ObjectName, is_object_name};

/// Certificates from a Secret, the webhook configuration, the Lease.
#[derive(Args, Clone, Debug)]
pub struct UpkeepArgs {
    /// The serving certificate from this Secret (tls.crt, tls.key), watched at the API server
    #[arg(
        long,
        env = "TIDEGATE_TLS_SECRET",
        hide_env = true,
        value_name = "NAMESPACE/NAME",
        conflicts_with = "standalone"
    )]
    pub tls_secret: Option<ObjectName>,
    /// Who keeps the Secret and the caBundle
    #[arg(
        long,
        env = "TIDEGATE_TLS_MODE",
        hide_env = true,
        value_enum,
        default_value_t,
        requires = "tls_secret"
    )]
    pub tls_mode: TlsModeArg,
    /// The validating webhook configuration whose caBundle is kept and that is compared with what was
    /// installed
    #[arg(
        long,
        env = "TIDEGATE_WEBHOOK",
        hide_env = true,
        value_name = "NAME",
        value_parser = object_name,
        conflicts_with = "standalone"
    )]
    pub webhook: Option<String>,
    /// The webhook configuration as it was installed, to be compared with the live one every minute
    #[arg(
        long,
        env = "TIDEGATE_INSTALLED",
        hide_env = true,
        value_name = "FILE",
        requires = "webhook"
    )]
    pub installed: Option<PathBuf>,
    /// The Lease whose holder writes; it must exist
    #[arg(
        long,
        env = "TIDEGATE_LEASE",
        hide_env = true,
        value_name = "NAMESPACE/NAME",
        requires = "holder",
        conflicts_with = "standalone"
    )]
    pub lease: Option<ObjectName>,
    /// The name of this replica in the Lease and in Events: that of its pod
    #[arg(
        long,
        env = "TIDEGATE_HOLDER",
        hide_env = true,
        value_name = "NAME",
        value_parser = object_name
    )]
    pub holder: Option<String>,
    /// How long a serving certificate that is made is good for
    #[arg(
        long,
        env = "TIDEGATE_TLS_LEAF_LIFE",
        hide = true,
        hide_env = true,
        default_value = "2160h",
        value_parser = values::duration
    )]
    pub tls_leaf_life: Duration,
    /// How long a CA that is made is good for
    #[arg(
        long,
        env = "TIDEGATE_TLS_CA_LIFE",
        hide = true,
        hide_env = true,
        default_value = "43800h",
        value_parser = values::duration
    )]
    pub tls_ca_life: Duration,
    /// How long a CA must have been in the caBundle before a certificate of it is served
    #[arg(
        long,
        env = "TIDEGATE_TLS_SETTLE",
        hide = true,
        hide_env = true,
        default_value = "10s",
        value_parser = values::duration
    )]
    pub tls_settle: Duration,
}

fn object_name(text: &str) -> Result<String, String> {
    if is_object_name(text) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of an object: lower case letters, digits, - and .".to_owned())
    }
}

/// Who keeps the Secret and the `caBundle`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum TlsModeArg {
    /// tidegate keeps both: it makes a CA and a certificate for --dns-name and renews them
    #[default]
    Own,
    /// Somebody else keeps the Secret; tidegate keeps the caBundle as its ca.crt says
    Given,
    /// Somebody else keeps both, such as cert-manager with its cainjector
    Injected,
}
