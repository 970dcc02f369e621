//! tidegate in a cluster that runs its pods (`bed::inside`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod schemas;
mod stand_in;
