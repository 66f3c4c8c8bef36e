//! The context of a command.

use super::output::report::Report;

/// The values that every command receives besides its arguments.
pub struct Context {
    pub report: Report,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Number of compression threads; one per core if `None`.
    pub jobs: Option<u16>,
    #[cfg(feature = "aws")]
    pub aws: lbuild::aws::Aws,
}
