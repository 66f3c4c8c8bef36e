//! The arguments that are about ECR.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::image::ImageArgs;
use super::registry::Registry;

/// What a push does to its ECR repository besides.
#[derive(ClapArgs)]
pub struct Ecr {
    /// An ECR repository to push to, in the account of the AWS credentials and the region that is set
    #[arg(long, value_name = "NAME[:TAG]")]
    pub repo: Option<String>,
    /// Create the ECR repository when it does not exist
    #[arg(long)]
    pub create_repo: bool,
    /// Let Lambda pull from the ECR repository
    #[arg(long)]
    pub allow_lambda: bool,
}

#[derive(Subcommand)]
pub enum Repo {
    /// Create a repository, unless it exists, and print its URI
    Create(Create),
    /// Say who may pull from a repository
    Policy(Policy),
}

#[derive(ClapArgs)]
pub struct Create {
    /// NAME, in the account of the AWS credentials and the region that is set, or REGISTRY/NAME
    pub name: String,
    /// Let no tag move once it is there
    #[arg(long)]
    pub immutable: bool,
    /// Scan images for vulnerabilities when they are pushed
    #[arg(long)]
    pub scan: bool,
    /// Encrypt with KMS, with a key of your own when one is named, instead of as ECR does by itself
    #[arg(long, value_name = "kms[:KEY]")]
    pub encryption: Option<String>,
    /// Set the lifecycle policy that FILE holds as JSON
    #[arg(long, value_name = "FILE")]
    pub lifecycle: Option<PathBuf>,
    /// An AWS tag of the repository; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
}

#[derive(ClapArgs)]
pub struct Policy {
    /// NAME, in the account of the AWS credentials and the region that is set, or REGISTRY/NAME
    pub name: String,
    /// Let Lambda pull from it; what else the policy says stays
    #[arg(long)]
    pub allow_lambda: bool,
    /// Let functions of another account use its images; may be repeated
    #[arg(long, value_name = "ID", requires = "allow_lambda", value_parser = account)]
    pub allow_account: Vec<String>,
    /// Print the policy, as it would be, and change nothing
    #[arg(long)]
    pub print: bool,
}

fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("an AWS account is twelve digits".into()),
    }
}

#[derive(ClapArgs)]
pub struct Login {
    /// The registry [default: ECR of the account of the AWS credentials, in the region that is set]
    pub registry: Option<String>,
    /// Print the password, for the user AWS, as other tools take it on standard input
    #[arg(long, required = true)]
    pub print: bool,
}

/// Docker's credential helper protocol.
#[derive(ClapArgs)]
pub struct CredentialHelper {
    #[command(subcommand)]
    pub verb: Verb,
    /// What standard input held.
    #[arg(skip)]
    pub input: String,
}

#[derive(Subcommand, Clone, Copy)]
pub enum Verb {
    /// Read a registry's name, and print the login for it
    Get,
    /// Print the logins that are stored: none ever is
    List,
    /// Take a login, and forget it
    Store,
    /// Forget a login
    Erase,
}

#[derive(ClapArgs)]
pub struct Doctor {
    #[command(flatten)]
    pub image: ImageArgs,
    #[command(flatten)]
    pub registry: Registry,
    /// As for the push in question; the doctor itself changes nothing.
    #[command(flatten)]
    pub ecr: Ecr,
    /// Where a push would go; may be repeated
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
}
