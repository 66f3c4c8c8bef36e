//! The output of the command, and its exit codes.

pub mod arguments;
mod bars;
mod commands;
pub mod digests;
pub mod exit;
#[cfg(feature = "check")]
pub mod findings;
pub mod human;
pub mod image_name;
pub mod json;
pub mod report;
pub mod secrets;
