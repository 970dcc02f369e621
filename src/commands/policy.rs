//! `tidegate policy`: validates policies and shows what they make of a namespace.

pub mod lint;
pub mod show;

mod effective;
mod levels;
mod origin;
mod upstream;
