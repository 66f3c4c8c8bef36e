//! A push after its arguments are read.

use lbuild::image::Format;
use lbuild::{Destination, Engine};

#[cfg(feature = "check")]
use crate::cli::args::push::CheckArgs;
use crate::cli::lower::Lowered;

/// An image and its destinations.
pub struct Job<'j> {
    pub engine: &'j Engine,
    pub lowered: &'j Lowered,
    pub to: &'j [(Destination, Format)],
    #[cfg(feature = "check")]
    pub check: &'j CheckArgs,
    #[cfg_attr(not(feature = "check"), expect(dead_code, reason = "only the check asks for it"))]
    pub dry_run: bool,
}
