//! What a YAML scalar means to goyaml v2, which sigs.k8s.io/yaml and so kubectl read YAML with
//! (`resolve.go` of go.yaml.in/yaml/v2): YAML 1.1 with Go's number syntax.

use super::number;

/// A scalar, as goyaml types it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// A null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer, as decimal text.
    Int(String),
    /// A float; infinities and NaN have no JSON form.
    Float(f64),
    /// A string.
    String(String),
}

const CORE: &str = "tag:yaml.org,2002:";

/// The meaning of `text`. `plain` is a scalar without quotes and not in block style; `tag` its
/// full tag.
///
/// # Errors
/// When the tag does not fit the text, with what does not fit.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return Ok(if plain {
            untagged(text)
        } else {
            Scalar::String(text.to_owned())
        });
    };
    let found = match tag.strip_prefix(CORE) {
        Some("binary") => return binary(text),
        Some("bool" | "int" | "float" | "null") => untagged(text),
        Some("timestamp") if is_date(text) => return Ok(Scalar::String(text.to_owned())),
        Some("timestamp") => return Err(misfit(text, "timestamp")),
        // A string, or a tag goyaml does not know and reads past.
        _ => return Ok(Scalar::String(text.to_owned())),
    };
    match (tag.strip_prefix(CORE), &found) {
        (Some("float"), Scalar::Int(number)) => match number.parse::<i64>() {
            #[expect(clippy::cast_precision_loss, reason = "goyaml rounds here too")]
            Ok(number) => Ok(Scalar::Float(number as f64)),
            Err(_) => Err(misfit(text, "float")),
        },
        (Some("bool"), Scalar::Bool(_))
        | (Some("int"), Scalar::Int(_))
        | (Some("float"), Scalar::Float(_))
        | (Some("null"), Scalar::Null) => Ok(found),
        (kind, _) => Err(misfit(text, kind.unwrap_or_default())),
    }
}

fn misfit(text: &str, kind: &str) -> String {
    format!("{text:?} does not fit its tag !!{kind}")
}

/// The meaning of a plain scalar without a tag.
fn untagged(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => number::pointed_float(text).map(Scalar::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            number::integer(&digits)
                .map(Scalar::Int)
                .or_else(|| number::float(&digits).map(Scalar::Float))
        }
        _ => None,
    };
    // Dates too stay strings: sigs.k8s.io/yaml reads into interfaces.
    number.unwrap_or_else(|| Scalar::String(text.to_owned()))
}

/// Whether `text` starts as goyaml's timestamps do, `2026-`.
fn is_date(text: &str) -> bool {
    text.len() > 5
        && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
        && text.get(4..5) == Some("-")
}

/// The text that base64 stands for. Bytes that are no UTF-8 become U+FFFD each, as in Go's JSON.
fn binary(text: &str) -> Result<Scalar, String> {
    let invalid = || "a !!binary value is not valid base64".to_owned();
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    let (groups, rest) = digits.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(invalid());
    }
    for (position, group) in groups.iter().enumerate() {
        let padding = group
            .iter()
            .rev()
            .take_while(|&&digit| digit == b'=')
            .count();
        if padding > 2 || (padding > 0 && position + 1 < groups.len()) {
            return Err(invalid());
        }
        let mut bits = 0_u32;
        for &digit in group.iter().take(4 - padding) {
            bits = bits << 6 | base64_digit(digit).ok_or_else(invalid)?;
        }
        let [_, decoded @ ..] = (bits << (6 * padding)).to_be_bytes();
        bytes.extend(decoded.iter().take(3 - padding));
    }
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(Scalar::String(decoded))
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}
