//! Quoting as Go's `%q` (`strconv.Quote`) does it, which upstream uses for values of annotations.

mod printable;

use std::fmt::Write;

use printable::BOUNDARIES;

/// `text` between double quotes, with Go's escapes for what is not printable.
pub fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        push_escaped(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{07}' => "\\a",
        '\u{08}' => "\\b",
        '\u{0c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{0b}' => "\\v",
        _ if is_printable(character) => return quoted.push(character),
        _ => "",
    };
    quoted.push_str(short);
    if !short.is_empty() {
        return;
    }
    let code = u32::from(character);
    // Writing to a string cannot fail.
    let _ = match code {
        0..0x20 | 0x7f => write!(quoted, "\\x{code:02x}"),
        0x20..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_printable(character: char) -> bool {
    let code = u32::from(character);
    if code < 0x7f {
        return code >= 0x20;
    }
    BOUNDARIES.partition_point(|boundary| *boundary <= code) % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(go_quote("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(
            go_quote("\u{7}\u{8}\t\n\u{b}\u{c}\r\0\u{1f}\u{7f}"),
            r#""\a\b\t\n\v\f\r\x00\x1f\x7f""#
        );
        assert_eq!(go_quote("é<ü>𝄞\u{fffd}"), "\"é<ü>𝄞\u{fffd}\"");
        assert_eq!(
            go_quote("\u{80}\u{ad}\u{a0}\u{2028}\u{e000}"),
            r#""\u0080\u00ad\u00a0\u2028\ue000""#
        );
        assert_eq!(go_quote("\u{e0001}\u{10ffff}"), r#""\U000e0001\U0010ffff""#);
    }
}
