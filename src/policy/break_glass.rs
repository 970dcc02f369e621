//! Break-glass: letting everything through that one policy would deny, for a bounded time.
//!
//! The policy names in `spec.breakGlass` who may do it and for how long. Somebody of these groups
//! annotates the policy with an end and a reason; until that end every mode of the policy is capped
//! at audit, loudly, and then it is over by itself. Nothing else is switched off: other policies
//! and the guard of tidegate's own objects stay in force.

use time::{Duration, OffsetDateTime};

use super::meta::Meta;
use super::parse::read_groups;
use super::settings::{Cursor, Problems};

/// The annotation that says until when the policy is open, RFC 3339.
pub const UNTIL: &str = "tidegate.dev/break-glass-until";
/// The annotation that says why.
pub const REASON: &str = "tidegate.dev/break-glass-reason";
/// The shortest reason.
pub const SHORTEST_REASON: usize = 10;
/// How many hours a policy may be open where it says nothing.
const DEFAULT_MAX_HOURS: u16 = 4;
/// The most hours a policy may allow.
const LONGEST_HOURS: u16 = 72;

/// `spec.breakGlass`: who may open a policy, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakGlassRules {
    /// Groups of which the caller must be in one.
    pub groups: Vec<String>,
    /// The most hours from the annotation to the end.
    pub max_hours: u16,
}

impl BreakGlassRules {
    /// The longest a policy may be open.
    pub fn longest(&self) -> Duration {
        Duration::hours(i64::from(self.max_hours))
    }
}

/// What the annotations say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// Until when, exclusive.
    pub until: OffsetDateTime,
    /// Why.
    pub reason: String,
}

pub(super) fn read_rules(
    rules: Option<&Cursor<'_>>,
    problems: &mut Problems,
) -> Option<BreakGlassRules> {
    let rules = rules?;
    let fields = rules.fields(&["groups", "maxHours"], problems);
    let Some(groups) = fields.get("groups") else {
        problems.add(rules, "breakGlass needs groups: who may open the policy");
        return None;
    };
    let hours = fields
        .get("maxHours")
        .and_then(|hours| hours.number_within(1, LONGEST_HOURS, problems));
    Some(BreakGlassRules {
        groups: read_groups(groups, problems),
        max_hours: hours.unwrap_or(DEFAULT_MAX_HOURS),
    })
}

/// The annotations of a policy; anything wrong with them is a problem, so that nobody believes a
/// policy open that is not.
pub(super) fn read_opened(
    meta: &Meta<'_>,
    rules: Option<&BreakGlassRules>,
    problems: &mut Problems,
) -> Option<Opened> {
    let find = |name: &str| {
        let mut named = meta.annotations.iter().filter(|(key, _)| *key == name);
        named.next().map(|(_, cursor)| cursor)
    };
    let (until, reason) = (find(UNTIL), find(REASON));
    let either = until.or(reason)?;
    if rules.is_none() {
        problems.add(
            either,
            "the policy cannot be opened: its spec.breakGlass names nobody who may",
        );
    }
    let Some(until) = until else {
        problems.add(either, format!("annotate {UNTIL} too: until when"));
        return None;
    };
    let until = until.date(problems);
    let text = reason.and_then(|reason| reason.text(problems));
    let Some(reason) = text.filter(|text| text.trim().len() >= SHORTEST_REASON) else {
        let message =
            format!("annotate {REASON} too: why, in at least {SHORTEST_REASON} characters");
        problems.add(either, message);
        return None;
    };
    Some(Opened {
        until: until?,
        reason: reason.to_owned(),
    })
}
