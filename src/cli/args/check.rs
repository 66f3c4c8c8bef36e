//! The arguments of `check` and `rules`.

use clap::{Args as ClapArgs, ValueEnum};

use super::image::ImageArgs;
use super::registry::Registry;

#[derive(ClapArgs)]
#[command(mut_arg("path", |path| path
    .value_name("IMAGE|PATH")
    .help("The image: REGISTRY/REPO[:TAG][@DIGEST], oci:DIR[:TAG] or docker-archive:FILE[:NAME[:TAG]]. Or what \
           `lbuild push` would take, for the image that it would make: a directory, a zip package or one file that is \
           there")))]
#[command(mut_arg("arch", |arch| arch.help(
    "The function's architecture: arm64 (aarch64) or amd64 (x86_64); of an index, also which image [default: the \
     image's own]")))]
pub struct Check {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Where the image of PATH is to go; may be repeated
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
    /// The function's Region
    #[arg(long)]
    pub region: Option<String>,
    /// Findings that are no reason to fail; may be repeated
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// What is a reason to fail, besides errors
    #[arg(long, value_enum)]
    pub deny: Option<Deny>,
    /// Print the findings as SARIF 2.1.0
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
    /// Print the findings as annotations of GitHub Actions
    #[arg(long, conflicts_with_all = ["json", "sarif"])]
    pub github: bool,
    #[command(flatten)]
    pub registry: Registry,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Deny {
    /// Warnings
    Warnings,
    /// Warnings and notes
    Notes,
}

#[derive(ClapArgs)]
pub struct Rules {
    /// The rule
    pub rule: Option<String>,
}
