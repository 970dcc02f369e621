//! How replicas that do not lead hand their counts to the one that does: through annotations on the
//! Lease, which all of them may write, so that no further right is needed.
//!
//! A replica leaves its next counts only once the leader has taken the last ones away, and keeps
//! counting meanwhile. A leader that dies between taking and writing loses what it took: the counts
//! are for people, and no decision depends on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::wire::explain;
use crate::cluster::{Api, ObjectName};
use crate::json::tree::at;
use crate::report::text;
use crate::server::usage::{Counts, Use};

/// Before the replica's name in the annotation's key.
const PREFIX: &str = "usage.tidegate.dev/";
/// The most names in one annotation: well below the 256 KiB that all annotations may have.
const MOST: usize = 300;
/// The longest name of an annotation behind its prefix.
const KEY_LIMIT: usize = 63;

/// The Lease as a place to leave counts.
#[derive(Clone, Debug)]
pub struct Exchange {
    leases: String,
    name: String,
    key: String,
}

/// One count as it stands in an annotation.
#[derive(Deserialize, Serialize)]
struct Line(u64, String);

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Lines {
    exceptions: BTreeMap<String, Line>,
    policies: BTreeMap<String, Line>,
}

impl Exchange {
    /// Over this Lease, for the replica called `holder`.
    pub fn new(lease: &ObjectName, holder: &str) -> Self {
        let start = holder.len().saturating_sub(KEY_LIMIT);
        // The end of a pod's name is what tells it from the others.
        let name = holder
            .get(start..)
            .unwrap_or(holder)
            .trim_matches(['-', '.']);
        Exchange {
            leases: format!(
                "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
                lease.namespace
            ),
            name: lease.name.clone(),
            key: format!("{PREFIX}{name}"),
        }
    }

    /// Leaves what is pending for the leader, unless it has not taken the last counts yet.
    pub async fn leave(&self, api: &Api, pending: &mut Counts) {
        if pending.is_empty() {
            return;
        }
        let waiting = match self.annotations(api).await {
            Ok(annotations) => annotations.contains_key(&self.key),
            Err(_) => true,
        };
        if waiting {
            return;
        }
        let (lines, left) = Lines::of(pending);
        let Ok(text) = serde_json::to_string(&lines) else {
            return;
        };
        let patch = json!({"metadata": {"annotations": {&self.key: text}}});
        match api.merge_patch(&self.leases, &self.name, &patch).await {
            Ok(_) => *pending = left,
            Err(error) => {
                tracing::debug!(error = %explain(&error), "counts of uses are handed over later");
            }
        }
    }

    /// Takes away what the other replicas left.
    pub async fn collect(&self, api: &Api) -> Counts {
        let mut counts = Counts::default();
        let Ok(annotations) = self.annotations(api).await else {
            return counts;
        };
        for (key, text) in annotations
            .iter()
            .filter(|(key, _)| key.starts_with(PREFIX))
        {
            let path = format!(
                "/metadata/annotations/{}",
                key.replace('~', "~0").replace('/', "~1")
            );
            let taking = json!([
                {"op": "test", "path": path, "value": text},
                {"op": "remove", "path": path},
            ]);
            let taken = api.json_patch(&self.leases, &self.name, &taking).await;
            if taken.is_ok() {
                let lines: Lines = serde_json::from_str(text).unwrap_or_default();
                counts.merge(lines.counts());
            }
        }
        counts
    }

    async fn annotations(&self, api: &Api) -> Result<BTreeMap<String, String>, kube::Error> {
        let lease = api.get(&self.leases, &self.name).await?.unwrap_or_default();
        let annotations = at(&lease, &["metadata", "annotations"]).as_object();
        let annotations = annotations.into_iter().flatten();
        Ok(annotations
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect())
    }
}

impl Lines {
    /// As many counts as fit, and those that are left.
    fn of(counts: &Counts) -> (Lines, Counts) {
        let (mut lines, mut left) = (Lines::default(), Counts::default());
        let mut room = MOST;
        let sides = [
            (
                &counts.exceptions,
                &mut lines.exceptions,
                &mut left.exceptions,
            ),
            (&counts.policies, &mut lines.policies, &mut left.policies),
        ];
        for (all, lines, left) in sides {
            for (id, used) in all {
                if room > 0 {
                    room -= 1;
                    lines.insert(id.to_string(), Line(used.count, text::time(used.last)));
                } else {
                    left.insert(Arc::clone(id), *used);
                }
            }
        }
        (lines, left)
    }

    fn counts(self) -> Counts {
        let read = |lines: BTreeMap<String, Line>| {
            let lines = lines.into_iter().take(MOST);
            let lines = lines.filter_map(|(id, Line(count, last))| {
                let last = OffsetDateTime::parse(&last, &Rfc3339).ok()?;
                Some((Arc::from(id), Use { count, last }))
            });
            lines.collect()
        };
        Counts {
            exceptions: read(self.exceptions),
            policies: read(self.policies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_the_way_through_an_annotation_and_what_does_not_fit_waits() {
        let mut counts = Counts::default();
        let last = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        for number in 0..MOST + 7 {
            let id = format!("shop/e-{number}");
            counts
                .exceptions
                .insert(Arc::from(id), Use { count: 2, last });
        }
        let (lines, left) = Lines::of(&counts);
        assert_eq!(left.exceptions.len(), 7);
        let text = serde_json::to_string(&lines).unwrap();
        assert!(text.len() < 64 << 10, "{}", text.len());
        let mut again = serde_json::from_str::<Lines>(&text).unwrap().counts();
        again.merge(left);
        assert_eq!(again.exceptions, counts.exceptions);
    }

    #[test]
    fn the_key_of_a_long_pod_name_keeps_its_end() {
        let lease = ObjectName {
            namespace: "tidegate".into(),
            name: "tidegate".into(),
        };
        let holder = format!("{}-7d9c8-x2b4z", "a".repeat(70));
        let key = Exchange::new(&lease, &holder).key;
        assert!(
            key.ends_with("-7d9c8-x2b4z") && key.len() <= PREFIX.len() + KEY_LIMIT,
            "{key}"
        );
    }
}
