//! tidegate

pub mod cli;
pub mod cluster;
pub mod commands;
pub mod control;
pub mod controls;
pub mod document;
pub mod evaluate;
pub mod facts;
pub mod json;
pub mod objects;
pub mod path;
pub mod policy;
pub mod report;
pub mod review;
pub mod server;
pub mod subject;
