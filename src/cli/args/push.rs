//! The arguments of `push`, `build` and `plan`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use lbuild::image::Format;

#[cfg(feature = "aws")]
use super::ecr::Ecr;
use super::image::{ImageArgs, NAMES};
use super::registry::Registry;

// The order of the fields is the order of the headings in `--help`.
#[derive(ClapArgs, Default)]
#[command(after_help = NAMES)]
pub struct Push {
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub registry: Registry,
    #[command(flatten)]
    pub caching: CachingArgs,
    #[cfg(feature = "check")]
    #[command(flatten)]
    pub check: CheckArgs,
    /// Write the image's names and digests to FILE, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub metadata_file: Option<PathBuf>,
    /// Write the image's digest to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub digest_file: Option<PathBuf>,
}

/// Where the image goes.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Destination")]
pub struct DestinationArgs {
    /// Write the image to this destination (repeatable)
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
    /// Add this tag at every destination (repeatable)
    #[arg(long)]
    pub tag: Vec<String>,
    /// Set the manifest's format [default: docker; oci in an OCI layout; that of a finished image in a registry]
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Do everything but write to the destinations
    #[arg(long)]
    pub dry_run: bool,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub ecr: Ecr,
}

/// The check before a push.
#[cfg(feature = "check")]
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Check")]
pub struct CheckArgs {
    /// Send the image without `lbuild check`
    #[arg(long)]
    pub no_check: bool,
    /// Ignore findings of this rule of `lbuild check` (repeatable)
    #[arg(long, value_name = "RULE", conflicts_with = "no_check")]
    pub allow: Vec<String>,
    /// Whether an image that is not for Lambda gets warnings only: it is pushed by a tool for all images.
    #[arg(skip)]
    pub lenient: bool,
}

/// The use of layers from earlier runs.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Cache")]
pub struct CachingArgs {
    /// Reuse the layers of this image too, if their keys match (repeatable)
    #[arg(long, value_name = "IMAGE", conflicts_with = "no_cache")]
    pub cache_from: Vec<String>,
    /// Make every layer, even if the cache or the destination has it
    #[arg(long)]
    pub no_cache: bool,
    /// Make every layer of these stages of a Dockerfile (repeatable)
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Make cached layers again, and fail if they differ
    #[arg(long, conflicts_with = "no_cache")]
    pub verify_cache: bool,
}

impl CachingArgs {
    /// The first given flag, as the user wrote it.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--cache-from", !self.cache_from.is_empty()),
            ("--no-cache", self.no_cache),
            ("--no-cache-filter", !self.no_cache_filter.is_empty()),
            ("--verify-cache", self.verify_cache),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct Plan {
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub registry: Registry,
}

#[derive(ValueEnum, Clone, Copy)]
pub enum FormatName {
    Docker,
    Oci,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Format {
        match name {
            FormatName::Docker => Format::Docker,
            FormatName::Oci => Format::Oci,
        }
    }
}
