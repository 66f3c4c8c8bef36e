//! The arguments of `push`, `build` and `plan`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use lbuild::image::Format;

#[cfg(feature = "aws")]
use super::ecr::Ecr;
use super::image::ImageArgs;
use super::registry::Registry;

#[derive(ClapArgs)]
pub struct Push {
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub registry: Registry,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub ecr: Ecr,
    /// Where to: REGISTRY/REPO[:TAG], oci:DIR[:TAG] or docker-archive:FILE[:NAME[:TAG]]; may be repeated
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
    /// A tag for every destination, besides the one it may name; may be repeated
    #[arg(long)]
    pub tag: Vec<String>,
    /// The manifest's format [default: docker; oci in an OCI layout]
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Do everything but write to the destination
    #[arg(long)]
    pub dry_run: bool,
    /// Send the image whatever `lbuild check` would find
    #[cfg(feature = "check")]
    #[arg(long)]
    pub no_check: bool,
    /// Findings of `lbuild check` that are no reason not to send it; may be repeated
    #[cfg(feature = "check")]
    #[arg(long, value_name = "RULE", conflicts_with = "no_check")]
    pub allow: Vec<String>,
    /// Write the image's names and digests to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Write the image's digest to FILE
    #[arg(long, value_name = "FILE")]
    pub digest_file: Option<PathBuf>,
    #[command(flatten)]
    pub caching: CachingArgs,
}

/// What layers that were made earlier are good for.
#[derive(ClapArgs)]
pub struct CachingArgs {
    /// Take layers from this image too, where they are what would be made; may be repeated
    #[arg(long, value_name = "IMAGE", conflicts_with = "no_cache")]
    pub cache_from: Vec<String>,
    /// Make every layer, even if the cache or the image that the tag names has it
    #[arg(long)]
    pub no_cache: bool,
    /// Make cached layers anew as well, and fail if they differ
    #[arg(long, conflicts_with = "no_cache")]
    pub verify_cache: bool,
}

#[derive(ClapArgs)]
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
