//! The arguments of `inspect` and `diff`.

use clap::Args as ClapArgs;
use lbuild::image::Arch;

use super::registry::Registry;
use crate::cli::output::secrets;

#[derive(ClapArgs)]
#[command(after_help = secrets::HELP)]
pub struct Inspect {
    /// The image: REGISTRY/REPO[:TAG][@DIGEST], oci:DIR[:TAG] or docker-archive:FILE[:NAME[:TAG]]
    pub image: String,
    /// Which of an index's images
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Show the files, as a container sees them
    #[arg(long, conflicts_with_all = ["largest", "history"])]
    pub tree: bool,
    /// Show the largest files
    #[arg(long, conflicts_with = "history")]
    pub largest: bool,
    /// Show what made each layer, and what changed the config
    #[arg(long)]
    pub history: bool,
    #[command(flatten)]
    pub registry: Registry,
}

#[derive(ClapArgs)]
#[command(after_help = secrets::HELP)]
pub struct Diff {
    /// The first image: REGISTRY/REPO[:TAG][@DIGEST], oci:DIR[:TAG] or docker-archive:FILE[:NAME[:TAG]]
    pub from: String,
    /// The second image
    pub to: String,
    /// Which of an index's images
    #[arg(long)]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub registry: Registry,
}
