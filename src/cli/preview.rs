//! The options of `tidegate preview`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use super::{ConnectArgs, Output, values};

/// `tidegate preview`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidegate preview\n  tidegate preview --namespace shop\n  \
tidegate preview --preset restricted -o json > preview.json\n\n\
Exit codes: 0 everything was judged, whatever was found; 2 something could not be read."
)]
pub struct PreviewArgs {
    /// Only this namespace [default: all of them]
    #[arg(short, long, value_name = "NS", value_parser = values::namespace)]
    pub namespace: Option<String>,
    /// Policy files, or directories holding them, in place of the cluster's policies and exceptions;
    /// may be given more than once
    #[arg(long, value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// A shipped policy in place of the cluster's: recommended, restricted or audit; may be given
    /// more than once
    #[arg(long, value_name = "NAME")]
    pub preset: Vec<String>,
    /// Which of the two counts to show, and whose offenders [default: both, and offenders of enforce]
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    pub only: Option<As>,
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

/// In which modes objects are judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum As {
    /// The modes of the policies, without the cap of audit-only
    Written,
    /// As if every audit and warn were enforce; what is off stays off
    Enforce,
}
