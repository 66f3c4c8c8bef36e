//! Findings of a check, in the formats of people and of other tools.

pub mod github;
pub mod sarif;
pub mod text;
