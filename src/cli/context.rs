//! The context of a command.

use std::path::PathBuf;

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
    /// Which logins are used first.
    pub logins: Logins,
    #[cfg(feature = "aws")]
    pub aws: lbuild::aws::Aws,
}

/// The order of the sources of credentials.
#[derive(Clone)]
pub enum Logins {
    /// AWS's credentials for ECR, then stored logins.
    Usual,
    /// Stored logins, then AWS's credentials, as `docker` has it: a tool that logs in may do so as another role. From
    /// this directory, if one is given.
    Stored { config: Option<PathBuf> },
}
