//! What every command gets.

use super::output::report::Report;

/// What every command gets, besides its arguments.
pub struct Context {
    pub report: Report,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Threads that compress, when not one a core.
    pub jobs: Option<u16>,
    #[cfg(feature = "aws")]
    pub aws: lbuild::aws::Aws,
}
