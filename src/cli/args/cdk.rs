//! The arguments of `cdk`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::dockerfile::CommandArgs;
use super::push::CachingArgs;
#[cfg(feature = "check")]
use super::push::CheckArgs;
use super::registry::Registry;

#[derive(Subcommand)]
pub enum Cdk {
    /// Build and push the image assets of a cloud assembly, so that `cdk deploy` finds them in ECR
    ///
    /// Run it between `cdk synth` and `cdk deploy --app cdk.out`, which then calls no container engine. Images that are in
    /// their repositories already are not built. Each push uses the role that the assembly names, or the caller's own
    /// credentials if they may not assume it.
    Publish(Box<Publish>),
}

#[derive(ClapArgs)]
pub struct Publish {
    /// Read the cloud assembly in this directory, which `cdk synth` writes
    #[arg(default_value = "cdk.out", value_name = "DIR")]
    pub assembly: PathBuf,
    /// Publish only assets whose id or name matches, where * and ? are wildcards (repeatable) [default: all]
    #[arg(long, value_name = "GLOB")]
    pub asset: Vec<String>,
    /// Do everything but push
    #[arg(long, help_heading = "Destination")]
    pub dry_run: bool,
    #[command(flatten)]
    pub commands: CommandArgs,
    #[command(flatten)]
    pub registry: Registry,
    #[command(flatten)]
    pub caching: CachingArgs,
    #[cfg(feature = "check")]
    #[command(flatten)]
    pub check: CheckArgs,
}
