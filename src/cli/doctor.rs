//! The options of `tidegate doctor`.

use clap::Args;

use super::{ConnectArgs, Output, values};

/// `tidegate doctor`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidegate doctor\n  tidegate doctor --namespace tidegate -o json\n\n\
Exit codes: 0 all is as installed, 1 something differs or is wrong, 2 something could not be looked at."
)]
pub struct DoctorArgs {
    /// The namespace of the installation [default: every namespace is searched]
    #[arg(short, long, value_name = "NS", value_parser = values::namespace)]
    pub namespace: Option<String>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,
}
