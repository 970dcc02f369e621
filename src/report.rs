//! Verdicts as others read them.

pub mod answer;
pub mod catalogue;
pub mod check;
pub mod console;
pub mod junit;
pub mod sarif;
pub mod text;
