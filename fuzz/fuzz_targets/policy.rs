//! Any bytes as a file of policies.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tidegate_fuzz::properties::policy(data);
});
