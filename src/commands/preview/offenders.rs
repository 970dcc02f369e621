//! The worst offenders: those with most findings, then those with most pods.

use std::cmp::Reverse;

use serde::Serialize;

use super::judge::Block;

/// How many are kept.
const KEPT: usize = 10;

/// A subject that would be blocked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Offender {
    pub(super) kind: String,
    /// Empty, and then left out, for a Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    pub(super) name: String,
    /// Its pods, blocked or not.
    pub(super) pods: u64,
    pub(super) findings: Vec<Finding>,
}

impl Offender {
    /// The worst comes first.
    fn rank(&self) -> (Reverse<usize>, Reverse<u64>, &str, &str, &str) {
        (
            Reverse(self.findings.len()),
            Reverse(self.pods),
            &self.namespace,
            &self.kind,
            &self.name,
        )
    }
}

/// One of its findings: the first of its check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) control: &'static str,
    pub(super) check: &'static str,
    pub(super) message: String,
}

impl From<&Block> for Finding {
    fn from(block: &Block) -> Self {
        Finding {
            control: block.control,
            check: block.check,
            message: block.message.clone(),
        }
    }
}

/// The worst so far, the worst first.
#[derive(Debug, Default)]
pub(super) struct Offenders(Vec<Offender>);

impl Offenders {
    /// Keeps `offender` if it is among the worst.
    pub(super) fn add(&mut self, offender: Offender) {
        if offender.findings.is_empty() {
            return;
        }
        let place = self
            .0
            .partition_point(|known| known.rank() <= offender.rank());
        if place < KEPT {
            self.0.insert(place, offender);
            self.0.truncate(KEPT);
        }
    }

    pub(super) fn into_list(self) -> Vec<Offender> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offender(name: &str, findings: usize, pods: u64) -> Offender {
        let finding = Finding {
            control: "pod-security",
            check: "hostPorts",
            message: String::new(),
        };
        Offender {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: name.into(),
            pods,
            findings: vec![finding; findings],
        }
    }

    #[test]
    fn the_ten_with_most_findings_are_kept_and_pods_break_ties() {
        let mut offenders = Offenders::default();
        offenders.add(offender("none", 0, 100));
        for number in 0..20 {
            offenders.add(offender(&format!("some-{number:02}"), 1, 1));
        }
        offenders.add(offender("many-pods", 1, 9));
        offenders.add(offender("worst", 3, 0));
        let names: Vec<String> = offenders
            .into_list()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names.len(), KEPT);
        assert_eq!(names[..3], ["worst", "many-pods", "some-00"]);
        assert_eq!(names[9], "some-07");
    }
}
