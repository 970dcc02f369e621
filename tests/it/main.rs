//! The one integration binary.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy takes helpers of integration tests for code that runs"
)]

mod admission;
mod engine;
mod architecture;
mod bad_input;
mod cli;
mod parity;
mod server;
