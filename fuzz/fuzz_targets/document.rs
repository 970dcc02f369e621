//! Any bytes as a YAML or JSON file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tidegate_fuzz::properties::document(data);
});
