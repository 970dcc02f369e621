//! The options of `tidegate exception`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::{ConnectArgs, Output, values};

/// `tidegate exception …`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  tidegate exception list --namespace shop\n  \
tidegate exception approve shop/legacy-agent"
)]
pub enum ExceptionCommand {
    /// List exceptions: what each lowers, for which objects, until when, and whether it does
    List(ListArgs),
    /// Approve an exception somebody else asked for, in your own name
    Approve(ApproveArgs),
    /// Take the approval of an exception back
    Revoke(RevokeArgs),
}

/// `tidegate exception list`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidegate exception list\n  tidegate exception list --namespace shop -o json\n  \
tidegate exception list --policy policies/ --now 2027-01-01T00:00:00Z\n\n\
Exit codes: 0 listed, 2 something could not be read."
)]
pub struct ListArgs {
    /// The exceptions of one namespace [default: of all]
    #[arg(short, long, value_name = "NS", value_parser = values::namespace)]
    pub namespace: Option<String>,
    /// The exceptions of files, or directories holding them, and not of a cluster; may be given more
    /// than once
    #[arg(long, value_name = "PATH", conflicts_with_all = ["kubeconfig", "context"])]
    pub policy: Vec<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The time exceptions are judged at, as 2026-11-21T10:00:00Z [default: the clock]
    #[arg(long, value_name = "RFC3339", value_parser = values::time)]
    pub now: Option<OffsetDateTime>,
    /// The cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `tidegate exception approve`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tidegate exception approve shop/legacy-agent\n\n\
What is shown is what is approved: when somebody changes the exception meanwhile, nothing is written.\n\n\
Exit codes: 0 approved, 1 not approved: refused, changed meanwhile, or answered no; 2 something could not be read."
)]
pub struct ApproveArgs {
    /// Which exception
    #[arg(value_name = "NS/NAME", value_parser = values::exception)]
    pub exception: values::ObjectName,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    pub yes: bool,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `tidegate exception revoke`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tidegate exception revoke shop/legacy-agent\n\n\
Exit codes: 0 it has no approval any more, 1 refused or changed meanwhile, 2 something could not be read."
)]
pub struct RevokeArgs {
    /// Which exception
    #[arg(value_name = "NS/NAME", value_parser = values::exception)]
    pub exception: values::ObjectName,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,
}
