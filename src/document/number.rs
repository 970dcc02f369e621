//! Numbers, read and printed as Go does.

/// The integer `text` stands for by the rules of Go's `ParseInt` and `ParseUint` with base 0, and
/// of goyaml's own reading of `0b`, as decimal text. The text holds no underscores.
pub(super) fn integer(text: &str) -> Option<String> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let signed = digits.len() < text.len();
    let (radix, digits) = radix(digits);
    // goyaml hands what follows `0b` to ParseInt again, which takes another sign.
    let digits = match (text.strip_prefix("0b"), radix) {
        (Some(rest), 2) if rest.starts_with(['+', '-']) => return small_binary(rest),
        _ => digits,
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (negative, signed) {
        (true, _) => (magnitude <= 1 << 63).then(|| match magnitude {
            0 => "0".to_owned(),
            _ => format!("-{magnitude}"),
        }),
        // ParseUint takes no sign, so a signed number ends where ParseInt does.
        (false, true) => i64::try_from(magnitude).ok().map(|value| value.to_string()),
        (false, false) => Some(magnitude.to_string()),
    }
}

fn radix(digits: &str) -> (u32, &str) {
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..).unwrap_or_default()),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..).unwrap_or_default()),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..).unwrap_or_default()),
        [b'0', _, ..] => (8, digits.get(1..).unwrap_or_default()),
        _ => (10, digits),
    }
}

fn small_binary(text: &str) -> Option<String> {
    i64::from_str_radix(text, 2)
        .ok()
        .map(|value| value.to_string())
}

/// The number `text` stands for when it is written as a decimal float: goyaml's pattern
/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`. Too large a number is none.
pub(super) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let mantissa = digits(whole)
        && digits(fraction.unwrap_or_default())
        && !(whole.is_empty() && fraction.unwrap_or_default().is_empty());
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !(mantissa && exponent) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// As [`float`] for a text that starts with a point, which goyaml hands to Go's `ParseFloat`
/// with its underscores: they may stand between digits.
pub(super) fn pointed_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let placed = bytes
        .iter()
        .enumerate()
        .all(|(at, &byte)| byte != b'_' || (digit(at.checked_sub(1)) && digit(at.checked_add(1))));
    placed.then(|| float(&text.replace('_', ""))).flatten()
}

/// A finite float as Go's `encoding/json` prints it: the shortest digits that read back the same,
/// with an exponent below 1e-6 and from 1e21 on.
pub(super) fn json_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        let shortest = format!("{value}");
        let decimals = decimals(&shortest);
        return if decimals == 0 {
            shortest
        } else {
            format!("{value:.decimals$}")
        };
    }
    // Rust prints 1e21, Go 1e+21.
    let text = format!("{value:.*e}", decimals(&format!("{value:e}")));
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// A float as sigs.k8s.io/yaml prints it for a map's key: Go's `%g` of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the rounding is the rule")]
pub(super) fn key_text(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    // Go rounds to 32 bits before it looks for an infinity.
    let value = value as f32;
    if value.is_infinite() {
        return if value < 0.0 { "-.inf" } else { ".inf" }.into();
    }
    let scientific = format!("{value:.*e}", decimals(&format!("{value:e}")));
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go decides by precision 6 when it prints the shortest digits.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value:.*}", decimals(&format!("{value}")))
}

/// How many digits stand behind the point. Printing a float again with as many decimals as its
/// shortest form has makes a tie fall to the even digit, as in Go.
fn decimals(text: &str) -> usize {
    let mantissa = text.split_once('e').map_or(text, |(mantissa, _)| mantissa);
    mantissa
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len())
}
