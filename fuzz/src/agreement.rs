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

use serde::Deserialize;
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
    raw(text);
    value(text);
    typed::<Any>(text);
    typed::<Pod>(text);
    typed::<WithSpec<Workload>>(text);
    typed::<WithSpec<CronJob>>(text);
    typed::<PodTemplate>(text);
}

/// Whether the text might meet one of our limits, and so is out of the comparison.
fn bounded(text: &str) -> bool {
    let count = |bytes: &[u8]| text.bytes().filter(|byte| bytes.contains(byte)).count();
    count(b",") >= MAX_LIST || count(b"[{") >= MAX_SKIP_DEPTH
}

fn raw(text: &str) {
    let ours = json::from_str::<Raw>(text);
    let theirs = serde_json::from_str::<&RawValue>(text);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours.text(), theirs.get()),
        (Err(_), Err(_)) => {}
        _ => panic!("{text:?} skipped: {ours:?}, serde_json: {theirs:?}"),
    }
}

fn value(text: &str) {
    let ours = json::from_str::<Value>(text);
    let theirs = serde_json::from_str::<Value>(text);
    let out_of_range = ours.as_ref().is_err_and(|error| error.message().contains("out of range"))
        || theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert!(equal(ours, theirs), "{text:?}: {ours:?}, serde_json: {theirs:?}"),
        (Err(_), Err(_)) => {}
        _ => assert!(out_of_range, "{text:?}: {ours:?}, serde_json: {theirs:?}"),
    }
}

fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let (ours, theirs) = (ours.as_f64().unwrap_or(f64::NAN), theirs.as_f64().unwrap_or(f64::NAN));
            ours.is_sign_negative() == theirs.is_sign_negative()
                && (ours - theirs).abs() <= f64::MIN_POSITIVE.max(ours.abs() * 4.0 * f64::EPSILON)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| equal(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, ours): (&String, &Value)| theirs.get(key).is_some_and(|theirs| equal(ours, theirs));
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        _ => ours == theirs,
    }
}

/// A text without nulls must read the same in both; with nulls, ours must read as theirs does when
/// every null is replaced by what Go makes of it.
fn typed<'a, T: Debug + Deserialize<'a>>(text: &'a str)
where
    T: for<'x> Same<'x>,
{
    if !text.contains("null") && !text.contains("-0") {
        <T as Same<'_>>::compare(text, text);
    }
    if let Ok(mut tree) = serde_json::from_str::<Value>(text) {
        let with_nulls = tree.to_string();
        if tree.is_null() {
            tree = Value::Object(serde_json::Map::new());
        }
        zeroes(&mut tree, "");
        <T as Same<'_>>::compare(&with_nulls, &tree.to_string());
    }
}
