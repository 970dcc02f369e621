//! The bytes that end the plain part of a string.

#![allow(
    clippy::inline_always,
    reason = "the loops over every byte of a review; measured in instructions by the benchmark"
)]

use wide::u8x16;

/// Which of 16 bytes end the plain part of a string: a quote, a backslash, a control character.
#[inline(always)]
fn special_mask(chunk: [u8; 16]) -> u32 {
    let bytes = u8x16::from(chunk);
    let quotes = bytes.simd_eq(u8x16::splat(b'"'));
    let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
    let controls = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (quotes | backslashes | controls).to_bitmask()
}

/// The position from `pos` on of the next quote, backslash or control character, sixteen bytes at a
/// time; the length of `bytes` if there is none.
#[inline(always)]
pub(super) fn special(bytes: &[u8], mut pos: usize) -> usize {
    while let Some(chunk) = bytes
        .get(pos..pos.wrapping_add(16))
        .and_then(<[u8]>::first_chunk::<16>)
    {
        let found = special_mask(*chunk);
        if found != 0 {
            return pos + found.trailing_zeros() as usize;
        }
        pos += 16;
    }
    special_at_the_end(bytes, pos)
}

#[cold]
fn special_at_the_end(bytes: &[u8], pos: usize) -> usize {
    let mut rest = bytes.iter().enumerate().skip(pos);
    let found = rest.find(|(_, byte)| matches!(byte, b'"' | b'\\' | ..=0x1f));
    found.map_or(bytes.len(), |(place, _)| place)
}
