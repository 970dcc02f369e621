//! The live webhook configuration compared with the one that was installed.
//!
//! What the API server fills in by itself is filled in on both sides first, and the order of what it
//! treats as sets does not count. Each difference is named by entry and field, with both values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use crate::json::tree::at;

pub mod rules;

mod normal;

/// The fields that are compared; also the label values of the metric.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Field {
    /// The entry itself: missing, or one too many.
    Entry,
    /// `rules`.
    Rules,
    /// `namespaceSelector`.
    NamespaceSelector,
    /// `objectSelector`.
    ObjectSelector,
    /// `matchConditions`.
    MatchConditions,
    /// `failurePolicy`.
    FailurePolicy,
    /// `matchPolicy`.
    MatchPolicy,
    /// `timeoutSeconds`.
    TimeoutSeconds,
    /// `sideEffects`.
    SideEffects,
    /// `admissionReviewVersions`.
    AdmissionReviewVersions,
    /// `clientConfig.service` and `clientConfig.url`.
    Service,
    /// `clientConfig.caBundle`.
    CaBundle,
    /// A resource in a rule that the API server does not have.
    Resources,
}

impl Field {
    /// All of them.
    pub const ALL: [Field; 13] = [
        Field::Entry,
        Field::Rules,
        Field::NamespaceSelector,
        Field::ObjectSelector,
        Field::MatchConditions,
        Field::FailurePolicy,
        Field::MatchPolicy,
        Field::TimeoutSeconds,
        Field::SideEffects,
        Field::AdmissionReviewVersions,
        Field::Service,
        Field::CaBundle,
        Field::Resources,
    ];

    /// As it stands in the configuration, where it does.
    pub fn name(self) -> &'static str {
        match self {
            Field::Entry => "entry",
            Field::Rules => "rules",
            Field::NamespaceSelector => "namespaceSelector",
            Field::ObjectSelector => "objectSelector",
            Field::MatchConditions => "matchConditions",
            Field::FailurePolicy => "failurePolicy",
            Field::MatchPolicy => "matchPolicy",
            Field::TimeoutSeconds => "timeoutSeconds",
            Field::SideEffects => "sideEffects",
            Field::AdmissionReviewVersions => "admissionReviewVersions",
            Field::Service => "service",
            Field::CaBundle => "caBundle",
            Field::Resources => "resources",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Drift {
    /// The name of the entry; empty for the whole configuration.
    pub entry: String,
    /// What differs.
    pub field: Field,
    /// What was installed or expected, as a person reads it.
    pub installed: String,
    /// What is there.
    pub live: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drift {
            entry,
            field,
            installed,
            live,
        } = self;
        if entry.is_empty() {
            return write!(
                f,
                "the webhook configuration is {live}, installed was {installed}"
            );
        }
        let field = match field {
            Field::Entry => return write!(f, "entry {entry} is {live}, installed was {installed}"),
            field => field.name(),
        };
        write!(f, "{entry}: {field} is {live}, installed was {installed}")
    }
}

/// What the `caBundle` of every entry should hold. Certificates are texts that are equal when the
/// certificates are.
#[derive(Clone, Debug, Default)]
pub struct ExpectedBundle {
    /// Those that must be there.
    pub wanted: BTreeSet<String>,
    /// Those that may be there, on their way out.
    pub tolerated: BTreeSet<String>,
}

/// Reads a `caBundle` value into such texts; the error says why it cannot be read.
pub type ReadBundle<'a> = &'a dyn Fn(&Value) -> Result<BTreeSet<String>, String>;

/// Compares. `live` is `None` where the configuration does not exist. The `caBundle` is compared only
/// where one is expected, and with that: what was rendered never has one.
pub fn compare(
    installed: &Value,
    live: Option<&Value>,
    expected: Option<&ExpectedBundle>,
    read: ReadBundle<'_>,
) -> Vec<Drift> {
    let Some(live) = live else {
        return vec![Drift {
            entry: String::new(),
            field: Field::Entry,
            installed: "there".to_owned(),
            live: "missing".to_owned(),
        }];
    };
    let (before, now) = (entries(installed), entries(live));
    let mut drifts = Vec::new();
    for (name, entry) in &before {
        match now.get(name) {
            None => drifts.push(whole(name, "there", "missing")),
            Some(live) => {
                fields(name, entry, live, &mut drifts);
                let bundle = at(live, &["clientConfig", "caBundle"]);
                drifts
                    .extend(expected.and_then(|expected| ca_bundle(name, bundle, expected, read)));
            }
        }
    }
    for name in now.keys().filter(|name| !before.contains_key(*name)) {
        drifts.push(whole(name, "missing", "there"));
    }
    drifts
}

fn entries(configuration: &Value) -> BTreeMap<&str, &Value> {
    let entries = configuration["webhooks"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|entry| (entry["name"].as_str().unwrap_or_default(), entry))
        .collect()
}

fn whole(name: &str, installed: &str, live: &str) -> Drift {
    Drift {
        entry: name.to_owned(),
        field: Field::Entry,
        installed: installed.to_owned(),
        live: live.to_owned(),
    }
}

fn fields(name: &str, installed: &Value, live: &Value, drifts: &mut Vec<Drift>) {
    for (field, normal) in normal::FIELDS {
        let (before, now) = (normal(installed), normal(live));
        if before == now {
            continue;
        }
        // Of lists and maps only what differs is worth reading.
        let (before, now) = normal::differing(&before, &now);
        drifts.push(Drift {
            entry: name.to_owned(),
            field,
            installed: show(&before),
            live: show(&now),
        });
    }
}

fn ca_bundle(
    name: &str,
    bundle: &Value,
    expected: &ExpectedBundle,
    read: ReadBundle<'_>,
) -> Option<Drift> {
    let live = match read(bundle) {
        Err(problem) => format!("unreadable: it {problem}"),
        Ok(live) if live.is_empty() => "empty".to_owned(),
        Ok(live) => {
            let missing = expected.wanted.difference(&live).count();
            let known =
                |one: &&String| expected.wanted.contains(*one) || expected.tolerated.contains(*one);
            let unknown = live.iter().filter(|one| !known(one)).count();
            match (missing, unknown) {
                (0, 0) => return None,
                (0, more) => format!("that and {more} unknown"),
                (missing, 0) => format!("without {missing} of them"),
                (missing, more) => format!("without {missing} of them, and {more} unknown"),
            }
        }
    };
    Some(Drift {
        entry: name.to_owned(),
        field: Field::CaBundle,
        installed: match expected.wanted.len() {
            1 => "1 CA certificate".to_owned(),
            count => format!("{count} CA certificates"),
        },
        live,
    })
}

/// The longest value that is shown, in characters.
const SHOWN: usize = 300;

fn show(value: &Value) -> String {
    let text = match value {
        Value::Null => return "unset".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    let cut: String = text.chars().take(SHOWN).collect();
    format!("{cut}…")
}

/// How many differences there are in each field.
pub fn counts(drifts: &[Drift]) -> [(Field, usize); Field::ALL.len()] {
    Field::ALL.map(|field| {
        let count = drifts.iter().filter(|drift| drift.field == field).count();
        (field, count)
    })
}

/// An object with these keys of `value`.
fn part(value: &Value, keys: &[&str]) -> Value {
    let mut part = Map::new();
    for key in keys {
        if !value[key].is_null() {
            part.insert((*key).to_owned(), value[key].clone());
        }
    }
    json!(part)
}

#[cfg(test)]
mod tests;
