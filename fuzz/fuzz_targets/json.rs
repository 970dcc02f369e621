//! Any text, read by tidegate and by `serde_json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tidegate_fuzz::properties::json(data);
});
