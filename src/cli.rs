//! The command line: subcommands, options, and what `--help` says of them.

pub mod cluster;
pub mod doctor;
pub mod exception;
pub mod preview;
pub mod serve;
pub mod upkeep;
pub mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::control::Mode;

pub use self::cluster::ConnectArgs;
pub use self::doctor::DoctorArgs;
pub use self::exception::ExceptionCommand;
pub use self::preview::PreviewArgs;
pub use self::serve::ServeArgs;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "Decides the customer's half of shared responsibility on Kubernetes: in the cluster at admission, and on files before it",
    after_help = "Example:\n  tidegate check deploy/\n\nExit codes: 0 nothing found, 1 findings, 2 something could not be read.",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve admission reviews, in a cluster or standalone
    Serve(Box<ServeArgs>),
    /// Judge manifests: files, directories, or standard input
    Check(CheckArgs),
    /// Answers reviews.
    #[command(about = "Answer AdmissionReviews from a file as the server would")]
    Review(ReviewArgs),
    /// Say what enforcing would block in a cluster today, before it does
    Preview(PreviewArgs),
    /// Compare the live installation with what was installed
    Doctor(DoctorArgs),
    /// Show the catalogue: every control and check, settings and examples
    Controls(ControlsArgs),
    /// Validate policies, and show what they make of a namespace
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List exceptions, approve them, and take approvals back
    #[command(subcommand)]
    Exception(ExceptionCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Which policies are in force.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// Policy files, or directories holding them; may be given more than once
    #[arg(long, value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// A shipped policy: recommended, restricted or audit; may be given more than once [default:
    /// recommended, when no --policy is given either]
    #[arg(long, value_name = "NAME")]
    pub preset: Vec<String>,
}

/// What stands for the rest of the cluster.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Manifests that stand for the rest of the cluster, such as namespaces with their labels;
    /// read, not judged; may be given more than once
    #[arg(long, value_name = "PATH")]
    pub cluster: Vec<PathBuf>,
    /// The time exceptions and ages are judged at, as 2026-11-21T10:00:00Z [default: the clock]
    #[arg(long, value_name = "RFC3339", value_parser = values::time)]
    pub now: Option<time::OffsetDateTime>,
}

/// `tidegate check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidegate check deploy/\n  helm template chart | tidegate check -\n  \
tidegate check --policy policies/ --cluster namespaces.yaml -o sarif deploy/ > tidegate.sarif\n\n\
Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 something could not be read."
)]
pub struct CheckArgs {
    /// Files, directories (searched for .yaml, .yml and .json), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: CheckOutput,
    /// The least mode of a finding that makes the command fail
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub fail_on: FailOn,
    /// The namespace of documents that name none
    #[arg(long, default_value = "default", value_name = "NS", value_parser = values::namespace)]
    pub namespace: String,
    /// The policies.
    #[command(flatten)]
    pub policies: PolicyArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What `check` prints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum CheckOutput {
    /// For reading
    #[default]
    Text,
    /// JSON.
    #[value(help = "A CheckReport")]
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// XML.
    #[value(help = "JUnit XML, for CI")]
    Junit,
}

/// The least mode of a finding that makes `check` fail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum FailOn {
    /// What would be denied
    #[default]
    Enforce,
    /// What would be warned about, too
    Warn,
    /// Every finding
    Audit,
    /// No finding
    Never,
}

impl FailOn {
    /// Whether a finding of this mode fails the command.
    pub fn fails(self, mode: Mode) -> bool {
        match self {
            FailOn::Enforce => mode >= Mode::Enforce,
            FailOn::Warn => mode >= Mode::Warn,
            FailOn::Audit => mode >= Mode::Audit,
            FailOn::Never => false,
        }
    }
}

/// `tidegate review`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tidegate review --cluster namespaces.yaml requests.jsonl\n\n\
Exit codes: 0 every review was answered, whatever the answer; 2 something could not be read."
)]
pub struct ReviewArgs {
    /// A file with reviews, one after another, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ReviewOutput,
    /// The namespace of documents of --cluster that name none
    #[arg(long, default_value = "default", value_name = "NS", value_parser = values::namespace)]
    pub namespace: String,
    /// The policies.
    #[command(flatten)]
    pub policies: PolicyArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What `review` prints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ReviewOutput {
    #[default]
    /// JSON lines.
    #[value(help = "AdmissionReview responses, one a line")]
    Json,
    /// For reading
    Text,
}

/// `tidegate controls`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tidegate controls\n  tidegate controls pod-security\n  \
tidegate controls -o markdown > controls.md"
)]
pub struct ControlsArgs {
    /// One control [default: all of them]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ControlsOutput,
}

/// What `controls` prints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ControlsOutput {
    /// For reading
    #[default]
    Text,
    /// JSON.
    #[value(help = "A ControlCatalogue")]
    Json,
    /// A page of documentation
    Markdown,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For reading
    #[default]
    Text,
    /// For other programs
    Json,
}

/// `tidegate policy …`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  tidegate policy lint policies/")]
pub enum PolicyCommand {
    /// Validates policies.
    #[command(
        about = "Validate policy files; upstream's PodSecurityConfiguration becomes a ControlPolicy"
    )]
    Lint(LintArgs),
    /// Show what the policies make of a namespace, and where each part comes from
    Show(ShowArgs),
}

/// `tidegate policy lint`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  tidegate policy lint policies/\n  \
tidegate policy lint pod-security-configuration.yaml > policy.yaml\n\n\
Exit codes: 0 every file is valid, 2 something is wrong.")]
pub struct LintArgs {
    /// Files, directories (searched for .yaml, .yml and .json), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// `tidegate policy show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  tidegate policy show --namespace shop --policy policies/ --cluster namespaces.yaml"
)]
pub struct ShowArgs {
    /// The namespace
    #[arg(long, value_name = "NS", value_parser = values::namespace)]
    pub namespace: String,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The policies.
    #[command(flatten)]
    pub policies: PolicyArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// `tidegate completions`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tidegate completions bash > /etc/bash_completion.d/tidegate")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
    /// What to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ScriptOutput,
}

/// What `completions` prints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ScriptOutput {
    /// The script
    #[default]
    Text,
}
