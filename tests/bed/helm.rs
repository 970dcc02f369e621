//! Helm 3 and 4 against a bed.

use std::path::Path;
use std::process::{Command, Output};

use super::{Bed, setup};

/// One of the two Helms, with its settings and caches in the bed's folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Helm {
    /// Client-side apply, as most clusters were installed with.
    Three,
    /// Server-side apply.
    Four,
}

impl Helm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Three, Self::Four];

    /// The name of the program in the folder of the bed's programs.
    pub fn program(self) -> &'static str {
        match self {
            Self::Three => "helm3",
            Self::Four => "helm",
        }
    }

    /// A call without a cluster, such as `template` or `lint`, with its settings in `scratch`.
    pub fn offline(self, scratch: &Path) -> Command {
        let home = scratch.join(self.program());
        let mut command = Command::new(setup::tool(self.program()));
        command
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env_remove("KUBECONFIG")
            .env_remove("HELM_NAMESPACE")
            .env_remove("HELM_DRIVER");
        command
    }

    /// Calls it as an administrator of the bed, in the folder of this source, so that
    /// `charts/tidegate` is the chart.
    pub fn run(self, bed: &Bed, arguments: &[&str]) -> Output {
        self.offline(&bed.folder().join("helm"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("KUBECONFIG", bed.kubeconfig())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Calls it, fails the test with its words unless it succeeds, and returns its standard output.
    pub fn must(self, bed: &Bed, arguments: &[&str]) -> String {
        let output = self.run(bed, arguments);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{} {}: {}\n{out}{err}",
            self.program(),
            arguments.join(" "),
            output.status
        );
        out.into_owned()
    }
}
