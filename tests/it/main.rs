//! The one integration binary.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy takes helpers of integration tests for code that runs"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "metrics are floating point by their format and count whole things"
)]

#[path = "../bed/mod.rs"]
mod bed;

mod admission;
mod architecture;
mod bad_input;
mod chart;
mod cli;
mod cluster;
mod definitions;
mod engine;
mod exceptions;
mod image;
mod parity;
mod server;
mod upkeep;
