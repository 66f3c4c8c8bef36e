//! The arguments of `check` and `rules`.

use clap::{Args as ClapArgs, ValueEnum};

use super::image::{ImageArgs, NAMES};
use super::registry::Registry;

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
#[command(mut_arg("path", |path| path
    .value_name("IMAGE|PATH")
    .help("Check this image, or the image that a push of this directory, zip package or file would make")))]
#[command(mut_arg("arch", |arch| arch.help(
    "Check for this architecture, and select its image from an index: arm64 (aarch64) or amd64 (x86_64) [default: the \
     image's own]")))]
pub struct Check {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Assume that the image of PATH is pushed to this destination (repeatable)
    #[arg(long, value_name = "DESTINATION", help_heading = "Destination")]
    pub to: Vec<String>,
    #[command(flatten)]
    pub registry: Registry,
    /// Assume that the function is in this Region
    #[arg(long, help_heading = "Check")]
    pub region: Option<String>,
    /// Ignore findings of this rule (repeatable)
    #[arg(long, value_name = "RULE", help_heading = "Check")]
    pub allow: Vec<String>,
    /// Fail on findings of this severity or a higher one [default: errors only]
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Check")]
    pub deny: Option<Deny>,
    /// Print the findings as SARIF 2.1.0
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    pub sarif: bool,
    /// Print the findings as annotations for GitHub Actions
    #[arg(long, conflicts_with_all = ["json", "sarif"], help_heading = "Output")]
    pub github: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Deny {
    Warnings,
    Notes,
}

#[derive(ClapArgs)]
pub struct Rules {
    /// Explain this rule only
    pub rule: Option<String>,
}
