//! What is not meant well: damaged, huge, nested and slow input, for every part that reads any.

#[allow(
    unreachable_pub,
    reason = "public for the fuzz targets, which share this file"
)]
#[path = "../../fuzz/src/agreement.rs"]
mod agreement;
mod engine;
mod envelope;
mod mutate;
mod object;
mod process;
#[allow(
    unreachable_pub,
    reason = "public for the fuzz targets, which share this file"
)]
#[path = "../../fuzz/src/properties.rs"]
mod properties;
mod random;
mod reviews;
mod size;
mod wire;
