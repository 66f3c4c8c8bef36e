//! Findings of a check, in the forms that people and other tools read.

pub mod github;
pub mod sarif;
pub mod text;
