//! The arguments, as typed.

pub mod cache;
#[cfg(feature = "check")]
pub mod check;
#[cfg(feature = "aws")]
pub mod ecr;
pub mod image;
pub mod init;
pub mod inspect;
pub mod output;
pub mod push;
pub mod registry;

use clap::{Parser, Subcommand};

use self::cache::CacheCommand;
#[cfg(feature = "check")]
use self::check::{Check, Rules};
use self::init::Init;
use self::inspect::{Diff, Inspect};
use self::output::Output;
use self::push::{Plan, Push};
use self::registry::Registry;
use crate::cli::output::exit;

/// Turns a source directory into an AWS Lambda container image and pushes it: no Docker, no daemon, no root
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = exit::CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write lbuild.toml for the function in a directory
    Init(Init),
    /// Build an image and push it
    Push(Push),
    /// Build an image into an OCI layout on disk (or wherever --to says)
    Build(Push),
    /// Print the recipe with every base pinned by digest, and build nothing
    Plan(Plan),
    /// Show an image: platform, config, layers, history
    Inspect(Inspect),
    /// Say why two images differ, and what a push of the second would send
    Diff(Diff),
    /// Find what Lambda would refuse in an image, and what would fail there
    #[cfg(feature = "check")]
    Check(Check),
    /// Explain the rules of `lbuild check`, or one of them
    #[cfg(feature = "check")]
    Rules(Rules),
    /// Find out what a push would meet, before anything is sent
    #[cfg(feature = "aws")]
    Doctor(ecr::Doctor),
    /// Create an ECR repository, or say who may pull from it
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Repo(ecr::Repo),
    /// Print a password for a registry of ECR
    #[cfg(feature = "aws")]
    Login(ecr::Login),
    /// Speak Docker's credential helper protocol: other tools log in to ECR through lbuild
    #[cfg(feature = "aws")]
    CredentialHelper(ecr::CredentialHelper),
    /// Look at or clean the local cache
    #[command(subcommand)]
    Cache(CacheCommand),
}

impl Command {
    /// How the command reaches registries, if it does.
    pub fn registry(&mut self) -> Option<&mut Registry> {
        match self {
            Command::Push(args) | Command::Build(args) => Some(&mut args.registry),
            Command::Plan(args) => Some(&mut args.registry),
            Command::Inspect(args) => Some(&mut args.registry),
            Command::Diff(args) => Some(&mut args.registry),
            #[cfg(feature = "check")]
            Command::Check(args) => Some(&mut args.registry),
            #[cfg(feature = "check")]
            Command::Rules(_) => None,
            #[cfg(feature = "aws")]
            Command::Doctor(args) => Some(&mut args.registry),
            #[cfg(feature = "aws")]
            Command::Repo(_) | Command::Login(_) | Command::CredentialHelper(_) => None,
            Command::Init(_) | Command::Cache(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
