//! Counts by namespace and control; of the subjects of one namespace at a time more than that.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::preview::As;

use super::judge::{Block, Both};
use super::offenders::{Offender, Offenders};
use super::owners::Name;

/// What was counted.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) summary: Summary,
    pub(super) namespaces: Vec<NamespaceCounts>,
    pub(super) offenders: Vec<Offender>,
    pub(super) unreadable: Vec<String>,
}

/// The counts of the whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) namespaces: u64,
    /// Workloads, pods that belong to none, and Namespaces.
    pub(super) subjects: u64,
    pub(super) pods: u64,
    /// Subjects that would be denied in the modes of the policies.
    pub(super) enforced: u64,
    /// Subjects that would be denied if every mode were enforce.
    pub(super) would_enforce: u64,
}

/// The counts of one namespace.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct NamespaceCounts {
    pub(super) name: String,
    pub(super) controls: Vec<ControlCounts>,
    #[serde(skip)]
    subjects: u64,
}

/// The counts of one control in one namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControlCounts {
    pub(super) control: &'static str,
    pub(super) enforced: u64,
    pub(super) would_enforce: u64,
    pub(super) subjects: u64,
}

/// One workload, pod or Namespace.
#[derive(Debug, Default)]
struct Subject {
    pods: u64,
    /// What denies it or its pods, once a check, in both ways of judging.
    blocked: [Vec<Block>; 2],
    /// What would deny pods of its template.
    template: [Vec<Block>; 2],
}

/// Counts in the making.
#[derive(Debug)]
pub(super) struct Tally {
    summary: Summary,
    namespaces: BTreeMap<String, NamespaceCounts>,
    offenders: Offenders,
    /// In which way of judging offenders are looked for.
    way: usize,
    /// The subjects of the namespace being read.
    subjects: BTreeMap<Name, Subject>,
}

impl Tally {
    pub(super) fn new(only: Option<As>) -> Tally {
        Tally {
            summary: Summary::default(),
            namespaces: BTreeMap::new(),
            offenders: Offenders::default(),
            way: usize::from(only != Some(As::Written)),
            subjects: BTreeMap::new(),
        }
    }

    /// A namespace and the controls that apply in it.
    pub(super) fn namespace(&mut self, name: &str, controls: Vec<&'static str>) {
        let controls = controls.into_iter().map(|control| ControlCounts {
            control,
            enforced: 0,
            would_enforce: 0,
            subjects: 0,
        });
        let counts = NamespaceCounts {
            name: name.to_owned(),
            controls: controls.collect(),
            subjects: 0,
        };
        self.summary.namespaces += 1;
        self.namespaces.insert(name.to_owned(), counts);
    }

    /// A Namespace itself.
    pub(super) fn take_namespace(&mut self, name: &str, judged: Both) {
        let subject = Name {
            kind: "Namespace".into(),
            name: name.into(),
        };
        self.take_workload(subject, judged);
        self.close(name);
    }

    /// An object that stands for itself.
    pub(super) fn take_workload(&mut self, name: Name, judged: Both) {
        let subject = self.subjects.entry(name).or_default();
        for (way, blocked) in judged.into_iter().enumerate() {
            add(&mut subject.blocked, way, blocked.itself);
            add(&mut subject.template, way, blocked.template);
        }
    }

    /// A pod of `owner`, or one that stands for itself.
    pub(super) fn take_pod(&mut self, owner: Name, judged: Both) {
        self.summary.pods += 1;
        let subject = self.subjects.entry(owner).or_default();
        subject.pods += 1;
        for (way, blocked) in judged.into_iter().enumerate() {
            add(&mut subject.blocked, way, blocked.itself);
        }
    }

    /// How many objects were taken in the namespace being read.
    pub(super) fn pods(&self) -> u64 {
        self.summary.pods
    }

    /// Counts the subjects taken so far, all of one namespace.
    pub(super) fn close(&mut self, namespace: &str) {
        for (name, subject) in std::mem::take(&mut self.subjects) {
            self.count(namespace, name, subject);
        }
    }

    fn count(&mut self, namespace: &str, name: Name, subject: Subject) {
        let pods = subject.pods;
        let mut blocked = subject.blocked;
        if pods == 0 {
            // What its pods would be, since there are none to look at.
            for (way, blocks) in subject.template.into_iter().enumerate() {
                add(&mut blocked, way, blocks);
            }
        }
        let [written, raised] = &blocked;
        self.summary.subjects += 1;
        self.summary.enforced += u64::from(!written.is_empty());
        self.summary.would_enforce += u64::from(!raised.is_empty());
        let counts = self.namespaces.entry(namespace.to_owned()).or_default();
        counts.subjects += 1;
        for control in &mut counts.controls {
            let by = |blocks: &[Block]| {
                let mut blocks = blocks.iter();
                u64::from(blocks.any(|block| block.control == control.control))
            };
            control.enforced += by(written);
            control.would_enforce += by(raised);
        }
        let blocks = blocked.get(self.way).map(Vec::as_slice).unwrap_or_default();
        let itself = name.kind == "Namespace";
        self.offenders.add(Offender {
            namespace: if itself {
                String::new()
            } else {
                namespace.to_owned()
            },
            kind: name.kind,
            name: name.name,
            pods,
            findings: blocks.iter().map(Into::into).collect(),
        });
    }

    pub(super) fn finish(self, unreadable: Vec<String>) -> Report {
        let namespaces = self.namespaces.into_values().map(|mut counts| {
            for control in &mut counts.controls {
                control.subjects = counts.subjects;
            }
            counts
        });
        Report {
            summary: self.summary,
            namespaces: namespaces.collect(),
            offenders: self.offenders.into_list(),
            unreadable,
        }
    }
}

/// Adds what is not there yet, once a check: fifty pods of one workload say the same.
fn add(known: &mut [Vec<Block>; 2], way: usize, blocks: Vec<Block>) {
    let Some(known) = known.get_mut(way) else {
        return;
    };
    for block in blocks {
        let same = |one: &Block| one.control == block.control && one.check == block.check;
        if !known.iter().any(same) {
            known.push(block);
        }
    }
}
