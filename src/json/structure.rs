//! The length of an object or list by its quotes and brackets alone, 64 bytes at a time.
//!
//! A review is walked twice: for its envelope, which checks that all of it is JSON, and for the
//! object a rule wants to see. The second walk need not check again what nobody reads. The bit
//! arithmetic follows Langdale and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28
//! (2019), section 3.1.

use wide::u8x16;

/// Every even bit.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// What of a block of 64 bytes is a quote, a backslash or a bracket; one bit a byte.
#[derive(Default)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Masks {
    #[inline]
    fn of(block: &[u8; 64]) -> Masks {
        let mut masks = Masks::default();
        let (lanes, _) = block.as_chunks::<16>();
        for (index, lane) in lanes.iter().enumerate() {
            let bytes = u8x16::from(*lane);
            // The bit 0x20 tells `[` from `{` and `]` from `}`, and nothing else from either.
            let folded = bytes | u8x16::splat(0x20);
            let mask = |matches: u8x16| u64::from(matches.to_bitmask()) << (16 * index);
            masks.quotes |= mask(bytes.simd_eq(u8x16::splat(b'"')));
            masks.backslashes |= mask(bytes.simd_eq(u8x16::splat(b'\\')));
            masks.opening |= mask(folded.simd_eq(u8x16::splat(b'{')));
            masks.closing |= mask(folded.simd_eq(u8x16::splat(b'}')));
        }
        masks
    }
}

/// What one block leaves to the next.
#[derive(Default)]
struct State {
    /// 1 if the last byte was a backslash that escapes the next.
    escape: u64,
    /// All ones inside a string.
    string: u64,
    depth: usize,
}

impl State {
    /// The bytes that a backslash escapes.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let backslashes = backslashes & !self.escape;
        let follows = (backslashes << 1) | self.escape;
        let odd_starts = backslashes & !EVEN & !follows;
        let (ends, overflow) = odd_starts.overflowing_add(backslashes);
        self.escape = u64::from(overflow);
        (EVEN ^ (ends << 1)) & follows
    }

    /// The bytes inside strings, the opening quote included.
    #[inline]
    fn in_string(&mut self, quotes: u64) -> u64 {
        let mut inside = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= self.string;
        self.string = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// Where in the block the outermost bracket closes.
    #[inline]
    fn end(&mut self, block: &[u8; 64]) -> Option<usize> {
        let masks = Masks::of(block);
        let escaped = if masks.backslashes | self.escape == 0 {
            0
        } else {
            self.escaped(masks.backslashes)
        };
        let outside = !self.in_string(masks.quotes & !escaped);
        let (opening, closing) = (masks.opening & outside, masks.closing & outside);
        let closes = closing.count_ones() as usize;
        if self.depth > closes {
            self.depth = self.depth + opening.count_ones() as usize - closes;
            return None;
        }
        let mut brackets = opening | closing;
        while brackets != 0 {
            let bit = brackets.trailing_zeros();
            if (opening >> bit) & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return Some(bit as usize + 1);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }
}

/// The length of the object or list that `bytes` starts with; `None` if it does not end.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut state = State::default();
    let (blocks, rest) = bytes.as_chunks::<64>();
    for (index, block) in blocks.iter().enumerate() {
        if let Some(end) = state.end(block) {
            return Some(index * 64 + end);
        }
    }
    let mut last = [b' '; 64];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    state.end(&last).map(|end| blocks.len() * 64 + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        for inner in [
            "{}",
            r#"{"a":[{"b":"}]\""}]}"#,
            r#"["\\",{"x":"\\\\\"]"}]"#,
            r#"{"\\\\\\":"\\\""}"#,
        ] {
            for pad in 0..140 {
                let key = "k".repeat(pad);
                let text = format!("{{\"{key}\":{inner}}}");
                let followed = format!("{text}]}}\"");
                assert_eq!(length(followed.as_bytes()), Some(text.len()), "{followed}");
            }
        }
    }

    #[test]
    fn what_does_not_end_has_no_length() {
        for text in ["{", "{\"a\":[}", "[\"]", "{\"\\\"}"] {
            for pad in [0, 59, 60, 61, 62, 63, 64, 65, 127, 128] {
                let text = text.replacen('{', &format!("{{{}", " ".repeat(pad)), 1);
                assert_eq!(length(text.as_bytes()), None, "{text}");
            }
        }
    }

    #[test]
    fn long_runs_of_backslashes_are_counted_across_blocks() {
        for run in 0..200 {
            let text = format!("[\"{}\"]", "\\".repeat(run * 2));
            assert_eq!(length(text.as_bytes()), Some(text.len()));
            let open = format!("[\"{}\"]", "\\".repeat(run * 2 + 1));
            assert_eq!(length(open.as_bytes()), None);
        }
    }
}
