//! What API servers trust, as the webhook configuration tells, and since when.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tokio::time::Instant;

use super::super::one::Seen;
use crate::json::tree::at;

use super::bundle::{Bundle, Validity};

/// The CAs that every entry of the webhook configuration trusts.
#[derive(Debug, Default)]
pub struct Trusted {
    /// Each with the moment from which on it was in all entries without a break.
    since: Vec<(CertificateDer<'static>, Instant)>,
    /// CAs that some entry trusts.
    anywhere: Bundle,
    /// The names that API servers ask for.
    names: Vec<String>,
    /// Whether the configuration has been seen and has entries.
    known: bool,
}

impl Trusted {
    /// Takes in what was seen of the configuration.
    pub fn observe(&mut self, seen: &Seen, now: Instant) {
        let configuration = match seen {
            // What was known before is the best guess.
            Seen::Unknown(_) => return,
            Seen::Missing => &Value::Null,
            Seen::Present(configuration) => configuration,
        };
        let bundles: Vec<Bundle> = entries(configuration)
            .map(|entry| {
                Bundle::of_ca_bundle(at(entry, &["clientConfig", "caBundle"])).unwrap_or_default()
            })
            .collect();
        let mut everywhere = bundles.first().cloned().unwrap_or_default();
        everywhere.keep(|one| {
            bundles
                .iter()
                .all(|bundle| bundle.certificates().contains(one))
        });
        self.known = !bundles.is_empty();
        self.anywhere = Bundle::default();
        for bundle in &bundles {
            for one in bundle.certificates() {
                self.anywhere.add(one.clone());
            }
        }
        self.names = service_names(configuration);
        let before = std::mem::take(&mut self.since);
        self.since = everywhere
            .certificates()
            .iter()
            .map(|one| {
                let earlier = before.iter().find(|(known, _)| known == one);
                (one.clone(), earlier.map_or(now, |(_, since)| *since))
            })
            .collect();
    }

    /// Whether there are API servers to be trusted by: the configuration has been seen and has
    /// entries.
    pub fn known(&self) -> bool {
        self.known
    }

    /// The names that API servers ask for: `SERVICE.NAMESPACE.svc` of every entry.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether some entry trusts some CA that is valid at `now` (seconds since 1970).
    pub fn anything(&self, now: i64) -> bool {
        let mut all = self.anywhere.certificates().iter();
        all.any(|one| Validity::of(one).is_ok_and(|validity| validity.holds(now)))
    }

    /// The CAs that have been trusted everywhere for `settle`.
    pub fn settled(&self, settle: Duration, now: Instant) -> Bundle {
        let mut bundle = Bundle::default();
        for (one, since) in &self.since {
            if now.saturating_duration_since(*since) >= settle {
                bundle.add(one.clone());
            }
        }
        bundle
    }

    /// When the next CA will have been trusted for `settle`.
    pub fn next(&self, settle: Duration, now: Instant) -> Option<Instant> {
        let moments = self.since.iter().map(|(_, since)| *since + settle);
        moments.filter(|moment| *moment > now).min()
    }
}

/// The entries of a webhook configuration.
pub fn entries(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

fn service_names(configuration: &Value) -> Vec<String> {
    let mut names: Vec<String> = entries(configuration)
        .filter_map(|entry| {
            let service = at(entry, &["clientConfig", "service"]);
            Some(format!(
                "{}.{}.svc",
                service["name"].as_str()?,
                service["namespace"].as_str()?
            ))
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// CAs that were in `ca.crt` a moment ago. They stay in the `caBundle` for a while: a replica may
/// still be serving a leaf of theirs when somebody swaps or deletes the Secret.
#[derive(Debug, Default)]
pub struct Lingering {
    current: Bundle,
    /// Each with the moment it was last in `ca.crt`.
    past: Vec<(CertificateDer<'static>, Instant)>,
}

/// The most CAs that linger.
const MOST: usize = 16;

impl Lingering {
    /// Takes in the CAs that are in `ca.crt` now; none when there is no such Secret.
    pub fn observe(&mut self, bundle: &Bundle, now: Instant) {
        let gone: Vec<_> = std::mem::replace(&mut self.current, bundle.clone())
            .certificates()
            .iter()
            .filter(|one| !bundle.certificates().contains(one))
            .map(|one| (one.clone(), now))
            .collect();
        self.past.retain(|(one, _)| {
            !bundle.certificates().contains(one) && gone.iter().all(|(other, _)| other != one)
        });
        self.past.extend(gone);
        let over = self.past.len().saturating_sub(MOST);
        self.past.drain(..over);
    }

    /// The CAs that linger still.
    pub fn past(
        &self,
        linger: Duration,
        now: Instant,
    ) -> impl Iterator<Item = &CertificateDer<'static>> {
        let fresh = move |since: &Instant| now.saturating_duration_since(*since) < linger;
        self.past
            .iter()
            .filter(move |(_, since)| fresh(since))
            .map(|(one, _)| one)
    }

    /// When the next of them has lingered long enough.
    pub fn next(&self, linger: Duration, now: Instant) -> Option<Instant> {
        let moments = self.past.iter().map(|(_, since)| *since + linger);
        moments.filter(|moment| *moment > now).min()
    }
}

/// Whether a serving certificate that was found is served from now on, or the one in use goes on
/// because it works and the API servers do not trust the other yet.
///
/// # Errors
/// Why the one in use goes on, in words.
pub fn admit(
    found: &[CertificateDer<'static>],
    in_use: Option<&[CertificateDer<'static>]>,
    trusted: &Trusted,
    settle: Duration,
    (moment, now): (Instant, i64),
) -> Result<(), String> {
    let Some(in_use) = in_use.filter(|_| trusted.known()) else {
        return Ok(());
    };
    let names = trusted.names();
    if trusted
        .settled(Duration::ZERO, moment)
        .verify(in_use, names, now)
        .is_err()
    {
        return Ok(());
    }
    trusted.settled(settle, moment).verify(found, names, now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::certificates::content::Content;
    use crate::cluster::certificates::plan::{Lives, WithLeaf};

    const NOW: i64 = 1_800_000_000;
    const SETTLE: Duration = Duration::from_secs(10);

    fn made() -> Content {
        let names = ["tidegate.tg.svc".to_owned()];
        Content::default()
            .with_authority(WithLeaf::Make, &names, Lives::default(), NOW)
            .unwrap()
    }

    fn configuration(bundles: &[&Bundle]) -> Seen {
        let entries: Vec<Value> = bundles
            .iter()
            .map(|bundle| {
                let service = json!({"name": "tidegate", "namespace": "tg"});
                json!({"name": "x", "clientConfig": {"service": service, "caBundle": bundle.to_ca_bundle()}})
            })
            .collect();
        Seen::Present(Box::new(json!({"webhooks": entries})))
    }

    #[test]
    fn a_ca_counts_once_every_entry_has_had_it_for_the_settling_time() {
        let (old, new) = (made().bundle().unwrap(), made().bundle().unwrap());
        let mut both = new.clone();
        both.add(old.certificates()[0].clone());
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut trusted = Trusted::default();
        trusted.observe(&configuration(&[&old, &old]), start);
        assert!(trusted.settled(SETTLE, start).is_empty() && trusted.anything(NOW));
        trusted.observe(&configuration(&[&both, &old]), after(5));
        assert!(
            trusted.settled(SETTLE, after(30)).same(&old),
            "one entry lacks the new one"
        );
        trusted.observe(&configuration(&[&both, &both]), after(30));
        assert!(trusted.settled(SETTLE, after(39)).same(&old));
        assert_eq!(trusted.next(SETTLE, after(39)), Some(after(40)));
        trusted.observe(&Seen::Unknown("away".to_owned()), after(39));
        assert!(trusted.settled(SETTLE, after(40)).same(&both));
        trusted.observe(&configuration(&[&both, &Bundle::default()]), after(41));
        assert!(trusted.settled(Duration::ZERO, after(41)).is_empty() && trusted.anything(NOW));
        trusted.observe(&configuration(&[&both, &both]), after(42));
        assert!(
            trusted.settled(SETTLE, after(45)).is_empty(),
            "it starts again"
        );
        trusted.observe(&Seen::Missing, after(46));
        assert!(!trusted.known() && !trusted.anything(NOW));
    }

    #[test]
    fn a_leaf_is_taken_when_it_is_trusted_or_when_the_one_in_use_is_not() {
        let (ours, foreign) = (made(), made());
        let (mine, theirs) = (ours.chain().unwrap(), foreign.chain().unwrap());
        let both = {
            let mut both = ours.bundle().unwrap();
            both.add(foreign.bundle().unwrap().certificates()[0].clone());
            both
        };
        let start = Instant::now();
        let later = start + Duration::from_mins(1);
        let mut trusted = Trusted::default();
        let admit = |found, in_use, trusted: &Trusted, moment| {
            admit(found, in_use, trusted, SETTLE, (moment, NOW)).is_ok()
        };
        assert!(admit(&theirs, Some(&mine), &trusted, later), "nobody calls");
        trusted.observe(&configuration(&[&ours.bundle().unwrap()]), start);
        assert!(
            !admit(&theirs, Some(&mine), &trusted, later),
            "a foreign one is held back"
        );
        assert!(
            admit(&theirs, None, &trusted, later),
            "there is nothing to lose"
        );
        assert!(admit(&mine, Some(&mine), &trusted, later));
        trusted.observe(&configuration(&[&both]), later);
        let settled = later + SETTLE;
        assert!(!admit(
            &theirs,
            Some(&mine),
            &trusted,
            settled - Duration::from_secs(1)
        ));
        assert!(admit(&theirs, Some(&mine), &trusted, settled));
        trusted.observe(&configuration(&[&foreign.bundle().unwrap()]), settled);
        assert!(
            admit(&theirs, Some(&mine), &trusted, settled),
            "the one in use is no good"
        );
    }

    #[test]
    fn a_ca_that_left_lingers_from_that_moment_on_and_not_from_when_it_came() {
        let (old, new) = (made().bundle().unwrap(), made().bundle().unwrap());
        let start = Instant::now();
        let hour = Duration::from_hours(1);
        let minute = Duration::from_mins(1);
        let mut lingering = Lingering::default();
        lingering.observe(&old, start);
        lingering.observe(&Bundle::default(), start + hour);
        lingering.observe(&new, start + hour + minute);
        let linger = Duration::from_mins(10);
        let at = start + hour + 5 * minute;
        assert_eq!(
            lingering.past(linger, at).collect::<Vec<_>>(),
            [&old.certificates()[0]]
        );
        assert_eq!(lingering.next(linger, at), Some(start + hour + linger));
        assert_eq!(lingering.past(linger, start + hour + linger).count(), 0);
        lingering.observe(&old, at);
        assert_eq!(
            lingering.past(linger, at).collect::<Vec<_>>(),
            [&new.certificates()[0]]
        );
    }
}
