//! Findings of a check: as text, as SARIF, and as annotations for GitHub Actions.

pub mod github;
pub mod sarif;
pub mod text;
