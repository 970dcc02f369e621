//! `make cluster`: the same bed, to try things by hand.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::bed;

/// Runs until it is interrupted; the supervisors of the parts then end everything.
#[test]
#[ignore = "runs until it is interrupted; `make cluster` calls it"]
fn a_cluster_to_try_things_in() {
    let bed = bed::exclusive();
    let mut tidegate = bed.tidegate("cluster").every_namespace().start();
    let kubectl = bed.kubectl_program();
    let kubeconfig = bed.kubeconfig();
    println!(
        "
A Kubernetes API server is running, with tidegate in front of it (preset recommended).

  export KUBECONFIG={kubeconfig}
  alias kubectl={kubectl}

Denied, since the container could take over its node:
  kubectl run root --image=registry.example/app --privileged

Stored, with warnings of what the level restricted would demand:
  kubectl run plain --image=registry.example/app

Denied from then on, in this namespace:
  kubectl label namespace default pod-security.kubernetes.io/enforce=restricted
  kubectl run plain2 --image=registry.example/app

There are no nodes, so pods stay Pending. Logs, certificates and audit log: {folder}
Ctrl-C stops and removes everything.
",
        kubeconfig = kubeconfig.display(),
        kubectl = kubectl.display(),
        folder = bed.folder().display(),
    );
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        assert!(tidegate.runs(0), "tidegate has ended");
    }
}

/// The same without tidegate and with a node, for `docs/guide.md`; used from another terminal.
#[test]
#[ignore = "runs until it is interrupted; `make cluster EMPTY=1` calls it"]
fn an_empty_cluster_to_follow_the_guide_on() {
    bed::inside_open(announce, |_| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

fn announce(door: &bed::Door) {
    let programs = bed::tool("kubectl");
    let tidegate = Path::new(env!("CARGO_BIN_EXE_tidegate"));
    println!(
        "
A Kubernetes cluster is running, with nothing in it. Its one node has the image of this source, which
the chart names by default (and registry.example/tidegate:bed). Paste this into another terminal and
follow docs/guide.md there, in the folder of this repository:

  export KUBECONFIG={kubeconfig}
  export PATH={kubectl}:{tidegate}:$PATH

These have kubectl, helm (4) and helm3, and tidegate. Only pods of that image run. Logs of the pods and
the API server's audit log are in {folder}.
Ctrl-C stops and removes everything.
",
        kubeconfig = door.kubeconfig().display(),
        kubectl = programs.parent().unwrap().display(),
        tidegate = tidegate.parent().unwrap().display(),
        folder = door.folder().display(),
    );
    std::io::stdout().flush().unwrap();
}
