//! The context of every command.

use super::output::report::Report;

/// Values that every command gets besides its arguments.
pub struct Context {
    pub report: Report,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Threads that compress; one per core if `None`.
    pub jobs: Option<u16>,
    #[cfg(feature = "aws")]
    pub aws: lbuild::aws::Aws,
}
