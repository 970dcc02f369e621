//! Any bytes as the body of a review.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tidegate_fuzz::properties::review(data);
});
