//! The arguments of `inspect` and `diff`.

use clap::Args as ClapArgs;
use lbuild::image::Arch;

use super::image::NAMES;
use super::registry::Registry;
use crate::cli::output::secrets;

#[derive(ClapArgs)]
#[command(after_help = format!("{NAMES}\n\n{}", secrets::HELP))]
pub struct Inspect {
    /// Show this image
    pub image: String,
    /// Select the image for this architecture from an index: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long, help_heading = "Image")]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub registry: Registry,
    /// Show the files, as a container sees them
    #[arg(long, help_heading = "Output", conflicts_with_all = ["largest", "history"])]
    pub tree: bool,
    /// Show the largest files
    #[arg(long, help_heading = "Output", conflicts_with = "history")]
    pub largest: bool,
    /// Show the commands that made the layers or changed the config
    #[arg(long, help_heading = "Output")]
    pub history: bool,
}

#[derive(ClapArgs)]
#[command(after_help = format!("{NAMES}\n\n{}", secrets::HELP))]
pub struct Diff {
    /// Compare this image
    pub from: String,
    /// Compare with this image
    pub to: String,
    /// Select the image for this architecture from an index: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long, help_heading = "Image")]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub registry: Registry,
}
