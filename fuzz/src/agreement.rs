//! tidegate's JSON reader against `serde_json`.
//!
//! They agree on every text, but for what is meant to differ:
//! - `null` reads as the zero value of what is expected, as in Go;
//! - a struct is never read from a list, as in Go (serde's derived structs take one);
//! - `-0` is an integer where one is expected, as in Go;
//! - a number that overflows 64-bit floats is a matter of whoever reads it; near that edge, and in
//!   the last digit, `serde_json` does not round exactly;
//! - lists, maps and nesting are bounded.

use std::fmt::Debug;

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate::json::{self, MAX_LIST, MAX_SKIP_DEPTH, Raw};
use tidegate::objects::{Any, CronJob, Pod, PodTemplate, WithSpec, Workload};

/// Panics where the two readers differ and should not.
pub fn agree(text: &str) {
    // By this key serde_json's own types talk to each other.
    if text.contains("$serde_json") || bounded(text) {
        return;
    }
    skipped(text);
    raw(text);
    value(text);
    typed(text);
}

/// Whether the text might meet one of our limits, and so is out of the comparison.
fn bounded(text: &str) -> bool {
    let count = |bytes: &[u8]| text.bytes().filter(|byte| bytes.contains(byte)).count();
    count(b",") >= MAX_LIST || count(b"[{") >= MAX_SKIP_DEPTH
}

fn skipped(text: &str) {
    let ours = json::from_str::<IgnoredAny>(text);
    let theirs = serde_json::from_str::<IgnoredAny>(text);
    assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{text:?} skipped: {ours:?}, serde_json: {theirs:?}"
    );
}

/// A raw value is the same part of the text, also with something behind it.
fn raw(text: &str) {
    let ours = json::from_str::<Raw>(text);
    let Ok(theirs) = serde_json::from_str::<&RawValue>(text) else {
        assert!(ours.is_err(), "{text:?}: {ours:?}, serde_json refuses it");
        return;
    };
    assert_eq!(ours.map(Raw::text), Ok(theirs.get()));
    let list = format!("[{text} , {text}]");
    let ours = json::from_str::<Vec<Raw>>(&list).expect("a list of two");
    assert!(ours.iter().all(|ours| ours.text() == theirs.get()) && ours.len() == 2);
}

fn value(text: &str) {
    let ours = json::from_str::<Value>(text);
    let theirs = serde_json::from_str::<Value>(text);
    let out_of_range = ours
        .as_ref()
        .is_err_and(|error| error.message().contains("out of range"))
        || theirs
            .as_ref()
            .is_err_and(|error| error.to_string().contains("out of range"));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert!(
            equal(ours, theirs),
            "{text:?}: {ours:?}, serde_json: {theirs:?}"
        ),
        (Err(_), Err(_)) => {}
        _ => assert!(out_of_range, "{text:?}: {ours:?}, serde_json: {theirs:?}"),
    }
}

fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let (ours, theirs) = (
                ours.as_f64().unwrap_or(f64::NAN),
                theirs.as_f64().unwrap_or(f64::NAN),
            );
            ours.is_sign_negative() == theirs.is_sign_negative()
                && (ours - theirs).abs() <= f64::MIN_POSITIVE.max(ours.abs() * 4.0 * f64::EPSILON)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| equal(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, ours): (&String, &Value)| {
                theirs.get(key).is_some_and(|theirs| equal(ours, theirs))
            };
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        _ => ours == theirs,
    }
}

/// Reads `ours` by tidegate, checking it and after it was checked, and `theirs` by `serde_json` as one type after another.
macro_rules! compare {
    ($ours:expr, $theirs:expr, $($type:ty),+) => {$(
        let theirs = serde_json::from_str::<$type>($theirs);
        same(stringify!($type), $ours, &json::from_str::<$type>($ours), &theirs);
        if let Ok(raw) = json::from_str::<Raw>($ours) {
            same(stringify!($type), $ours, &json::from_raw::<$type>(raw), &theirs);
        }
    )+};
}

/// A text without nulls must read the same in both; with nulls, ours must read as theirs does when
/// every null is replaced by what Go makes of it.
fn typed(text: &str) {
    if !text.contains("null") && !text.contains("-0") {
        compare!(
            text,
            text,
            Any,
            Pod,
            WithSpec<Workload>,
            WithSpec<CronJob>,
            PodTemplate
        );
    }
    if let Ok(mut tree) = serde_json::from_str::<Value>(text) {
        let ours = tree.to_string();
        zeroes(&mut tree);
        let theirs = tree.to_string();
        compare!(
            &ours,
            &theirs,
            Any,
            Pod,
            WithSpec<Workload>,
            WithSpec<CronJob>,
            PodTemplate
        );
    }
}

fn same<T: Debug>(
    name: &str,
    text: &str,
    ours: &Result<T, json::Error>,
    theirs: &serde_json::Result<T>,
) {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(
            format!("{ours:?}"),
            format!("{theirs:?}"),
            "{name} of {text:?}"
        ),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_))
            if error
                .message()
                .starts_with("invalid type: sequence, expected struct") => {}
        (ours, theirs) => panic!("{name} of {text:?}: {ours:?}, serde_json: {theirs:?}"),
    }
}

/// Replaces nulls by what Go reads for them: nothing for a field, the zero value for an element of
/// a list and for a value of a map of strings.
fn zeroes(tree: &mut Value) {
    match tree {
        Value::Null => *tree = Value::Object(serde_json::Map::new()),
        Value::Array(elements) => elements.iter_mut().for_each(zeroes),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("labels" | "annotations", Value::Object(pairs)) => {
                        pairs.values_mut().for_each(empty);
                    }
                    ("add" | "drop", Value::Array(elements)) => elements.iter_mut().for_each(empty),
                    (_, value) => zeroes(value),
                }
            }
        }
        _ => {}
    }
}

fn empty(value: &mut Value) {
    if value.is_null() {
        *value = Value::String(String::new());
    }
}
