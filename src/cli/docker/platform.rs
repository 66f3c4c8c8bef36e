//! The platform of a build.

use lbuild::image::Arch;

use crate::cli::lower::platform::{of_machine, of_platform};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The architecture of `--platform`, else of `DOCKER_DEFAULT_PLATFORM`, else of this machine.
pub fn chosen(given: &[String], report: &Report) -> Result<Arch, Failure> {
    if !given.is_empty() {
        return of_platform(&given.join(","));
    }
    let variable = std::env::var("DOCKER_DEFAULT_PLATFORM").ok().filter(|value| !value.is_empty());
    if let Some(platform) = variable {
        return of_platform(&platform);
    }
    of_machine("--platform", report)
}
