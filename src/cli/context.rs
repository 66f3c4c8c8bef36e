//! The context of a command.

use super::interruption::Interruption;
use super::output::report::Report;

/// The values that every command receives besides its arguments.
pub struct Context {
    pub report: Report,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Number of compression threads; one per core if `None`.
    pub jobs: Option<u16>,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only functions end in their own way"))]
    pub interruption: Interruption,
    #[cfg(feature = "aws")]
    pub aws: lbuild::aws::Aws,
}
