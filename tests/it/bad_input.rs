//! What is not meant well: damaged, huge, nested and slow input, for every part that reads any.

#[path = "../../fuzz/src/agreement.rs"]
mod agreement;
mod engine;
mod mutate;
#[path = "../../fuzz/src/properties.rs"]
mod properties;
mod random;
