//! Text for people and terminals.

/// `text` with everything that could move a cursor, reverse a line or end one written as an escape:
/// control characters and the invisible characters that change the direction or the end of a line.
pub fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    // Nearly every text is plain ASCII, and looking at bytes is many times cheaper.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into();
    }
    if text.chars().any(is_hidden) {
        let mut escaped = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            if is_hidden(character) {
                escaped.extend(character.escape_default());
            } else {
                escaped.push(character);
            }
        }
        escaped.into()
    } else {
        text.into()
    }
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The longest start of `text` within `bytes` bytes, with `…` where something was left out.
pub fn shorten(text: &str, bytes: usize) -> std::borrow::Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= bytes {
        return text.into();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(MARK.len()));
    let start = text.get(..end).unwrap_or_default();
    format!("{start}{MARK}").into()
}

/// A value as indented JSON that ends with a new line.
pub fn json(value: &impl serde::Serialize) -> String {
    // Serialising strings, numbers and maps with string keys into memory cannot fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A point in time as Kubernetes writes it: RFC 3339, UTC, whole seconds.
pub fn time(time: time::OffsetDateTime) -> String {
    let utc = time.to_offset(time::UtcOffset::UTC);
    let whole = utc.replace_nanosecond(0).unwrap_or(utc);
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

/// `1 finding`, `2 findings`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown_and_others_kept() {
        assert_eq!(
            visible("a\u{1b}[31m\n\u{202e}b"),
            "a\\u{1b}[31m\\n\\u{202e}b"
        );
        assert_eq!(visible("größe 😀"), "größe 😀");
    }

    #[test]
    fn shortening_counts_bytes_and_breaks_no_character() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("ääää", 7), "ää…");
        assert!(shorten("ääää", 6).len() <= 6);
    }
}
