//! What is to be done about the CA and the serving certificate, decided from what is there and the
//! time alone.
//!
//! Overlap. A new CA goes into `ca.crt` beside the old ones and from there into every `caBundle`;
//! a leaf of it is made only once all of them have been seen with it for the settling time, so no
//! API server is shown a leaf that it does not trust yet. Where nothing that still works could be
//! broken (no `caBundle` trusts anything, or the leaf has expired), there is nothing to wait for.
//!
//! Old CAs. The key of a CA is overwritten by that of its successor, in the same write that adds the
//! successor. So no leaf of an old CA is younger than the newest CA, and a leaf's life after that
//! one was made every one of them has expired, also those in the memory of a replica that has been
//! cut off ever since. Then the old CAs are dropped.

/// How long certificates are good for, in seconds. Each is renewed when two thirds have passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lives {
    /// A CA.
    pub ca: i64,
    /// A leaf.
    pub leaf: i64,
}

const DAY: i64 = 86_400;

impl Default for Lives {
    /// Five years and ninety days.
    fn default() -> Self {
        Lives {
            ca: 5 * 365 * DAY,
            leaf: 90 * DAY,
        }
    }
}

/// What the Secret holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// When the newest CA, whose key is there, expires; or why there is none that can be used.
    pub ca: Result<i64, String>,
    /// When the CAs beside it expire.
    pub old: Vec<i64>,
    /// The serving certificate.
    pub leaf: Leaf,
}

/// The serving certificate in the Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leaf {
    /// One that a client that trusts `ca.crt` accepts.
    Good {
        /// When it expires.
        expires: i64,
        /// Whether the newest CA has signed it.
        of_newest: bool,
    },
    /// It has expired.
    Expired,
    /// There is none that can be used, and why.
    Unusable(String),
}

/// What API servers trust, as far as the webhook configuration tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Trust {
    /// Some entry trusts some CA, so some replica may be serving a leaf that works.
    pub anything: bool,
    /// Every entry has trusted the newest CA for the settling time.
    pub newest_settled: bool,
}

/// What to do with the leaf when a CA is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WithLeaf {
    /// It stays until the new CA is trusted.
    Keep,
    /// There is none to be stored; one follows once the new CA is trusted.
    Leave,
    /// A new one, at once.
    Make,
}

/// What is to be done next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing before this moment.
    Rest(i64),
    /// A leaf is due, but the CA is not trusted everywhere yet.
    Settle(String),
    /// A new CA.
    Authority {
        /// What becomes of the leaf.
        leaf: WithLeaf,
        /// Why.
        why: String,
    },
    /// A new leaf of the newest CA.
    Leaf {
        /// Why.
        why: String,
    },
    /// The CAs beside the newest are needed no more.
    Forget,
}

/// Decides. `now` is in seconds since 1970, by the API server's clock.
pub fn plan(held: &Held, trust: Trust, lives: Lives, now: i64) -> Action {
    if let Some(why) = authority_due(&held.ca, lives, now) {
        let leaf = match held.leaf {
            Leaf::Good { .. } => WithLeaf::Keep,
            Leaf::Unusable(_) if trust.anything => WithLeaf::Leave,
            Leaf::Unusable(_) | Leaf::Expired => WithLeaf::Make,
        };
        return Action::Authority { leaf, why };
    }
    if let Some(why) = leaf_due(&held.leaf, lives, now) {
        let nothing_to_break = match held.leaf {
            Leaf::Good { expires, .. } => expires <= now,
            Leaf::Unusable(_) => !trust.anything,
            Leaf::Expired => true,
        };
        return if nothing_to_break || trust.newest_settled {
            Action::Leaf { why }
        } else {
            Action::Settle(why)
        };
    }
    let ca = held.ca.as_ref().copied().unwrap_or(now);
    let made = ca - lives.ca;
    let forgotten = made + lives.leaf;
    if held.old.iter().any(|expires| *expires <= now) || (!held.old.is_empty() && forgotten <= now)
    {
        return Action::Forget;
    }
    let mut next = ca - lives.ca / 3;
    if let Leaf::Good { expires, .. } = held.leaf {
        next = next.min(expires - lives.leaf / 3);
    }
    let forget = held.old.iter().copied().chain([forgotten]).min();
    Action::Rest(match forget {
        Some(forget) if !held.old.is_empty() => next.min(forget),
        _ => next,
    })
}

fn authority_due(ca: &Result<i64, String>, lives: Lives, now: i64) -> Option<String> {
    match ca {
        Err(why) => Some(why.clone()),
        Ok(expires) => due("CA", *expires, lives.ca, now),
    }
}

fn leaf_due(leaf: &Leaf, lives: Lives, now: i64) -> Option<String> {
    match leaf {
        Leaf::Unusable(why) => Some(why.clone()),
        Leaf::Expired => Some("the serving certificate has expired".to_owned()),
        Leaf::Good {
            of_newest: false, ..
        } => Some("the serving certificate is of an older CA".to_owned()),
        Leaf::Good { expires, .. } => due("serving certificate", *expires, lives.leaf, now),
    }
}

fn due(what: &str, expires: i64, life: i64, now: i64) -> Option<String> {
    if expires <= now {
        Some(format!("the {what} has expired"))
    } else if expires - now <= life / 3 {
        Some(format!("two thirds of the {what}'s life have passed"))
    } else if expires - now > life + DAY {
        Some(format!("the {what} is good for longer than it should be"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: Lives = Lives {
        ca: 1800 * DAY,
        leaf: 90 * DAY,
    };
    const SETTLED: Trust = Trust {
        anything: true,
        newest_settled: true,
    };
    const UNSETTLED: Trust = Trust {
        anything: true,
        newest_settled: false,
    };
    const NOTHING: Trust = Trust {
        anything: false,
        newest_settled: false,
    };
    const YEAR: i64 = 365;

    /// Times in days; the CA and the leaf were made at 0.
    fn held(ca_expires: i64, leaf_expires: i64, of_newest: bool, old: &[i64]) -> Held {
        Held {
            ca: Ok(ca_expires * DAY),
            old: old.iter().map(|day| day * DAY).collect(),
            leaf: Leaf::Good {
                expires: leaf_expires * DAY,
                of_newest,
            },
        }
    }

    fn lost() -> Result<i64, String> {
        Err("there is no Secret".to_owned())
    }

    fn unusable() -> Leaf {
        Leaf::Unusable("there is no Secret".to_owned())
    }

    /// The action in one word.
    fn word(held: &Held, trust: Trust, day: i64) -> &'static str {
        match plan(held, trust, LIVES, day * DAY) {
            Action::Rest(_) => "rest",
            Action::Settle(_) => "settle",
            Action::Authority {
                leaf: WithLeaf::Keep,
                ..
            } => "ca, leaf kept",
            Action::Authority {
                leaf: WithLeaf::Leave,
                ..
            } => "ca, leaf later",
            Action::Authority {
                leaf: WithLeaf::Make,
                ..
            } => "ca and leaf",
            Action::Leaf { .. } => "leaf",
            Action::Forget => "forget",
        }
    }

    #[test]
    fn each_state_at_each_time_has_its_action() {
        let fresh = held(1800, 90, true, &[]);
        let rotated = held(1800 + 1200, 90 + 1200, true, &[1800]);
        for (state, trust, day, expected) in [
            (&fresh, SETTLED, 0, "rest"),
            (&fresh, SETTLED, 59, "rest"),
            (&fresh, SETTLED, 60, "leaf"),
            (&fresh, UNSETTLED, 60, "settle"),
            (&fresh, UNSETTLED, 89, "settle"),
            (&fresh, UNSETTLED, 90, "leaf"),
            (&held(1800, 1229, true, &[]), SETTLED, 1199, "leaf"),
            (&held(1800, 1270, true, &[]), SETTLED, 1200, "ca, leaf kept"),
            (&held(3000, 1270, false, &[1800]), UNSETTLED, 1200, "settle"),
            (&held(3000, 1270, false, &[1800]), SETTLED, 1200, "leaf"),
            (&rotated, SETTLED, 1200, "rest"),
            (&held(3000, 1350, true, &[1800]), SETTLED, 1289, "rest"),
            (&held(3000, 1350, true, &[1800]), SETTLED, 1290, "forget"),
            (&held(3000, 1350, true, &[1265]), SETTLED, 1265, "forget"),
        ] {
            assert_eq!(word(state, trust, day), expected, "{state:?} day {day}");
        }
    }

    #[test]
    fn what_was_deleted_or_damaged_is_made_anew_by_overlap_as_far_as_possible() {
        let nothing = Held {
            ca: lost(),
            old: Vec::new(),
            leaf: unusable(),
        };
        let no_ca_key = Held {
            ca: Err("ca.key is missing".to_owned()),
            ..held(0, 90, false, &[1800])
        };
        let no_leaf = Held {
            leaf: unusable(),
            ..held(1800, 0, true, &[])
        };
        for (state, trust, expected) in [
            (&nothing, NOTHING, "ca and leaf"),
            (&nothing, UNSETTLED, "ca, leaf later"),
            (&no_ca_key, UNSETTLED, "ca, leaf kept"),
            (&no_leaf, SETTLED, "leaf"),
            (&no_leaf, UNSETTLED, "settle"),
            (&no_leaf, NOTHING, "leaf"),
        ] {
            assert_eq!(word(state, trust, 1), expected, "{state:?}");
        }
    }

    #[test]
    fn a_clock_moved_by_a_year_either_way_ends_in_certificates_that_are_valid() {
        let fresh = held(1800, 90, true, &[]);
        let expired = Held {
            leaf: Leaf::Expired,
            ..fresh.clone()
        };
        assert_eq!(word(&expired, SETTLED, YEAR), "leaf");
        assert_eq!(word(&expired, UNSETTLED, YEAR), "leaf", "nothing to break");
        let all_expired = Held {
            ca: Ok(1800 * DAY),
            leaf: Leaf::Expired,
            old: Vec::new(),
        };
        assert_eq!(word(&all_expired, SETTLED, 6 * YEAR), "ca and leaf");
        // Made by a clock a year ahead, looked at by the right one.
        let ahead = held(1800 + YEAR, 90 + YEAR, true, &[]);
        assert_eq!(word(&ahead, SETTLED, 0), "ca, leaf kept");
        let leaf_ahead = held(1800, 90 + YEAR, true, &[]);
        assert_eq!(word(&leaf_ahead, SETTLED, 0), "leaf");
    }

    #[test]
    fn the_time_to_rest_ends_when_the_first_thing_is_due() {
        let rest = |held: &Held, day: i64| match plan(held, SETTLED, LIVES, day * DAY) {
            Action::Rest(until) => until / DAY,
            other => panic!("{other:?}"),
        };
        assert_eq!(rest(&held(1800, 90, true, &[]), 1), 60);
        assert_eq!(rest(&held(1800, 1270, true, &[]), 1190), 1200);
        assert_eq!(rest(&held(3000, 1330, true, &[1800]), 1280), 1290);
        assert_eq!(rest(&held(3000, 1330, true, &[1285]), 1280), 1285);
    }

    #[test]
    fn acting_as_planned_comes_to_rest_from_every_state() {
        let leaves = [
            unusable(),
            Leaf::Expired,
            Leaf::Good {
                expires: 90 * DAY,
                of_newest: false,
            },
        ];
        for ca in [lost(), Ok(-DAY), Ok(10 * DAY), Ok(1800 * DAY)] {
            for leaf in leaves.clone() {
                for trust in [SETTLED, UNSETTLED, NOTHING] {
                    let mut held = Held {
                        ca: ca.clone(),
                        old: vec![-DAY, 5 * DAY],
                        leaf: leaf.clone(),
                    };
                    assert!(rests(&mut held, trust), "{ca:?} {leaf:?} {trust:?}");
                }
            }
        }
    }

    /// Does what is planned, with the caBundle following, until there is nothing to do.
    fn rests(held: &mut Held, mut trust: Trust) -> bool {
        for _ in 0..6 {
            match plan(held, trust, LIVES, 0) {
                Action::Rest(_) => return true,
                Action::Settle(_) => trust = SETTLED,
                Action::Authority { leaf, .. } => {
                    held.old.extend(held.ca.as_ref().ok());
                    held.ca = Ok(LIVES.ca);
                    trust.newest_settled = false;
                    match (leaf, &mut held.leaf) {
                        (WithLeaf::Make, leaf) => *leaf = good(),
                        (WithLeaf::Keep, Leaf::Good { of_newest, .. }) => *of_newest = false,
                        _ => {}
                    }
                }
                Action::Leaf { .. } => held.leaf = good(),
                Action::Forget => held.old.clear(),
            }
        }
        false
    }

    fn good() -> Leaf {
        Leaf::Good {
            expires: LIVES.leaf,
            of_newest: true,
        }
    }
}
