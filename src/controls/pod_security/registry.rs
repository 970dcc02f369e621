//! Which checks run at a level and version, as `policy/registry.go` upstream resolves it.

use std::sync::LazyLock;

use crate::subject::PodView;

use super::check::{Failure, PodCheck, Step};
use super::checks::ALL;
use super::level::{Level, LevelVersion, Version};

/// The newest minor version that changes a check; later versions and `latest` are taken as this one.
pub const NEWEST: u16 = 37;

/// What a check runs: one of its steps.
pub type RunFn = fn(&PodView<'_, '_>) -> Option<Failure>;

/// A check and the step of it that is in force.
pub type Entry = (&'static PodCheck, RunFn);

/// The checks to run, by minor version.
struct Table {
    baseline: Vec<Vec<Entry>>,
    restricted: Vec<Vec<Entry>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    baseline: (0..=NEWEST).map(baseline).collect(),
    restricted: (0..=NEWEST).map(restricted).collect(),
});

/// The checks that run at a level and version, in the order of messages.
pub fn checks(lv: LevelVersion) -> &'static [Entry] {
    let minor = match lv.version {
        Version::Minor(minor) => minor.min(u64::from(NEWEST)),
        Version::Latest => u64::from(NEWEST),
    };
    let by_minor = match lv.level {
        Level::Privileged => return &[],
        Level::Baseline => &TABLE.baseline,
        Level::Restricted => &TABLE.restricted,
    };
    let entries = usize::try_from(minor)
        .ok()
        .and_then(|minor| by_minor.get(minor));
    entries.map(Vec::as_slice).unwrap_or_default()
}

/// What a pod breaks at a level and version, in the order of messages.
pub fn evaluate(lv: LevelVersion, pod: &PodView<'_, '_>) -> Vec<(&'static PodCheck, Failure)> {
    let entries = checks(lv).iter();
    entries
        .filter_map(|&(check, run)| Some((check, run(pod)?)))
        .collect()
}

/// The step of a check in force at v1.`minor`; `None` where the check begins later.
fn step_at(check: &PodCheck, minor: u16) -> Option<&Step> {
    check.steps.iter().rev().find(|step| step.from <= minor)
}

/// The steps of every check of `level` in force at v1.`minor`.
fn steps(level: Level, minor: u16) -> impl Iterator<Item = (&'static PodCheck, &'static Step)> {
    let of_level = ALL
        .iter()
        .copied()
        .filter(move |check| check.level == level);
    of_level.filter_map(move |check| Some((check, step_at(check, minor)?)))
}

fn baseline(minor: u16) -> Vec<Entry> {
    steps(Level::Baseline, minor)
        .map(|(check, step)| (check, step.run))
        .collect()
}

/// The restricted checks, after the baseline ones that none of them overrides.
fn restricted(minor: u16) -> Vec<Entry> {
    let overrides: Vec<&str> = steps(Level::Restricted, minor)
        .flat_map(|(_, step)| step.overrides.iter().copied())
        .collect();
    let kept = baseline(minor)
        .into_iter()
        .filter(|(check, _)| !overrides.contains(&check.check.id));
    kept.chain(steps(Level::Restricted, minor).map(|(check, step)| (check, step.run)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_checks_are_listed_as_messages_order_them() {
        let keys: Vec<_> = ALL
            .iter()
            .map(|check| (check.level, check.check.id))
            .collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(keys, sorted);
    }

    #[test]
    fn the_checks_satisfy_what_upstream_demands_of_them() {
        let mut levels = BTreeMap::new();
        for check in ALL {
            let id = check.check.id;
            assert!(
                levels.insert(id, check.level).is_none(),
                "{id} is there twice"
            );
            assert_ne!(check.level, Level::Privileged, "{id}");
            assert!(!check.steps.is_empty(), "{id} has no versions");
            assert!(
                check.steps.is_sorted_by(|a, b| a.from < b.from),
                "{id}: versions do not increase"
            );
        }
        for check in ALL {
            for overridden in check.steps.iter().flat_map(|step| step.overrides) {
                assert_eq!(
                    check.level,
                    Level::Restricted,
                    "{} overrides",
                    check.check.id
                );
                assert_eq!(
                    levels.get(overridden),
                    Some(&Level::Baseline),
                    "{overridden} is overridden"
                );
            }
        }
    }

    #[test]
    fn the_newest_step_is_the_newest_version() {
        let newest = ALL
            .iter()
            .flat_map(|check| check.steps)
            .map(|step| step.from)
            .max();
        assert_eq!(newest, Some(NEWEST));
    }

    #[test]
    fn a_level_and_version_run_as_many_checks_as_upstream() {
        let count = |level, minor| {
            checks(LevelVersion {
                level,
                version: Version::Minor(minor),
            })
            .len()
        };
        for (minor, baseline, restricted) in [
            (0, 11, 12),
            (7, 11, 12),
            (8, 11, 13),
            (22, 11, 13),
            (23, 11, 14),
            (33, 11, 14),
            (34, 12, 15),
            (37, 12, 15),
        ] {
            assert_eq!(
                count(Level::Baseline, minor),
                baseline,
                "baseline v1.{minor}"
            );
            assert_eq!(
                count(Level::Restricted, minor),
                restricted,
                "restricted v1.{minor}"
            );
            assert_eq!(count(Level::Privileged, minor), 0);
        }
    }

    #[test]
    fn versions_beyond_the_newest_are_the_newest() {
        let ids = |version| -> Vec<_> {
            let entries = checks(LevelVersion {
                level: Level::Restricted,
                version,
            });
            entries
                .iter()
                .map(|(check, run)| (check.check.id, *run as usize))
                .collect()
        };
        let newest = ids(Version::Minor(u64::from(NEWEST)));
        assert_eq!(ids(Version::Latest), newest);
        assert_eq!(ids(Version::Minor(u64::MAX)), newest);
    }

    #[test]
    fn restricted_leaves_out_what_it_overrides() {
        let version = Version::Latest;
        let entries = checks(LevelVersion {
            level: Level::Restricted,
            version,
        });
        for overridden in [
            "capabilities_baseline",
            "hostPathVolumes",
            "procMount",
            "seccompProfile_baseline",
        ] {
            assert!(
                entries
                    .iter()
                    .all(|(check, _)| check.check.id != overridden),
                "{overridden}"
            );
        }
    }
}
