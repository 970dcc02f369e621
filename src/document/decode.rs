//! Bytes of a file as text.

use super::{ParseError, line_breaks, line_number};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The text of `bytes`: UTF-8, or UTF-16 with a byte order mark (as PowerShell writes it and
/// kubectl reads it). A byte order mark is dropped.
///
/// # Errors
/// When the bytes are more than [`MAX_BYTES`] or no such text.
pub fn decode(bytes: Vec<u8>) -> Result<String, ParseError> {
    let error = |line, message: String| ParseError {
        document: 0,
        line,
        message,
    };
    if bytes.len() > MAX_BYTES {
        let limit = MAX_BYTES / (1024 * 1024);
        return Err(error(
            1,
            format!("the text is larger than {limit} MiB: split it"),
        ));
    }
    let utf16 = match bytes.get(..2) {
        Some([0xFF, 0xFE]) => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        Some([0xFE, 0xFF]) => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    if let Some(unit) = utf16 {
        let (pairs, rest) = bytes.get(2..).unwrap_or_default().as_chunks::<2>();
        let text =
            char::decode_utf16(pairs.iter().copied().map(unit)).collect::<Result<String, _>>();
        return match text {
            Ok(text) if rest.is_empty() => Ok(text),
            _ => Err(error(1, "not valid UTF-16: save the file as UTF-8".into())),
        };
    }
    let text = String::from_utf8(bytes).map_err(|invalid| {
        let before = invalid
            .as_bytes()
            .get(..invalid.utf8_error().valid_up_to())
            .unwrap_or_default();
        let line = line_number(line_breaks(before) + 1);
        error(line, "not valid UTF-8: save the file as UTF-8".into())
    })?;
    Ok(match text.strip_prefix('\u{FEFF}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(decode(b"\xEF\xBB\xBFa: 1".to_vec()).unwrap(), "a: 1");
        assert_eq!(decode(b"\xFF\xFEa\0\xE9\0".to_vec()).unwrap(), "aé");
        assert_eq!(decode(b"\xFE\xFF\0a\x20\xAC".to_vec()).unwrap(), "a€");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_line() {
        let error = decode(b"a: 1\nb: \xFF\n".to_vec()).unwrap_err();
        assert_eq!(
            (error.line, error.message.as_str()),
            (2, "not valid UTF-8: save the file as UTF-8")
        );
        assert!(
            decode(b"\xFF\xFEa\0b".to_vec())
                .unwrap_err()
                .message
                .contains("UTF-16")
        );
        assert!(
            decode(b"\xFF\xFE\0\xD8".to_vec())
                .unwrap_err()
                .message
                .contains("UTF-16")
        );
    }

    #[test]
    fn a_text_over_the_limit_is_refused() {
        assert!(decode(vec![b' '; MAX_BYTES]).is_ok());
        let error = decode(vec![b' '; MAX_BYTES + 1]).unwrap_err();
        assert_eq!(error.message, "the text is larger than 32 MiB: split it");
    }
}
