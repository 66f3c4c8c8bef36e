//! The arguments about ECR.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::image::{ImageArgs, NAMES};
use super::registry::Registry;

/// The ECR repository of a push, and the changes to it.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Destination")]
pub struct Ecr {
    /// Push to this ECR repository in the configured AWS account and Region
    #[arg(long, value_name = "NAME[:TAG]")]
    pub repo: Option<String>,
    /// Create the ECR repository if it does not exist
    #[arg(long)]
    pub create_repo: bool,
    /// Let Lambda pull from the ECR repository
    #[arg(long)]
    pub allow_lambda: bool,
}

#[derive(Subcommand)]
pub enum Repo {
    /// Create a repository if it does not exist, and print its URI
    Create(Create),
    /// Change or show the permissions to pull from a repository
    Policy(Policy),
}

#[derive(ClapArgs)]
pub struct Create {
    /// Create this repository: NAME in the configured AWS account and Region, or REGISTRY/NAME
    pub name: String,
    /// Make tags immutable
    #[arg(long)]
    pub immutable: bool,
    /// Scan images for vulnerabilities when they are pushed
    #[arg(long)]
    pub scan: bool,
    /// Encrypt with KMS, by KEY or AWS's key [default: ECR's encryption]
    #[arg(long, value_name = "kms[:KEY]")]
    pub encryption: Option<String>,
    /// Set the lifecycle policy from a JSON file
    #[arg(long, value_name = "FILE")]
    pub lifecycle: Option<PathBuf>,
    /// Set an AWS tag of the repository (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
}

#[derive(ClapArgs)]
pub struct Policy {
    /// Use this repository: NAME in the configured AWS account and Region, or REGISTRY/NAME
    pub name: String,
    /// Let Lambda pull; the policy's other statements stay
    #[arg(long)]
    pub allow_lambda: bool,
    /// Let functions of another account use the images too (repeatable)
    #[arg(long, value_name = "ID", requires = "allow_lambda", value_parser = account)]
    pub allow_account: Vec<String>,
    /// Print the policy with these changes, and change nothing
    #[arg(long)]
    pub print: bool,
}

fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("an AWS account ID has twelve digits".into()),
    }
}

#[derive(ClapArgs)]
pub struct Login {
    /// Use this registry [default: ECR in the configured AWS account and Region]
    pub registry: Option<String>,
    /// Print the password of the user AWS, for the standard input of another tool
    #[arg(long, required = true)]
    pub print: bool,
}

/// Docker's credential helper protocol.
#[derive(ClapArgs)]
pub struct CredentialHelper {
    #[command(subcommand)]
    pub verb: Verb,
    /// The request that was read from standard input.
    #[arg(skip)]
    pub input: String,
}

#[derive(Subcommand, Clone, Copy)]
pub enum Verb {
    /// Read a registry's name, and print its login
    Get,
    /// Print the stored logins (always none)
    List,
    /// Read a login, and ignore it
    Store,
    /// Read a registry's name, and ignore it
    Erase,
}

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
#[command(mut_arg("path", |path| path.help(
    "Examine a push of this directory (and read its lbuild.toml), zip package or file")))]
#[command(mut_arg("repo", |repo| repo.help(
    "Examine a push to this repository in the configured AWS account and Region")))]
#[command(mut_arg("create_repo", |flag| flag.help("Assume that the push creates a missing ECR repository")))]
#[command(mut_arg("allow_lambda", |flag| flag.help("Assume that the push lets Lambda pull")))]
pub struct Doctor {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Examine a push to this destination (repeatable)
    #[arg(long, value_name = "DESTINATION", help_heading = "Destination")]
    pub to: Vec<String>,
    /// Try only how commands of a Dockerfile run on this machine
    #[arg(long, help_heading = "Dockerfile")]
    pub run: bool,
    #[command(flatten)]
    pub ecr: Ecr,
    #[command(flatten)]
    pub registry: Registry,
}
