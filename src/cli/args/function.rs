//! The arguments of `deploy` and `status`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::image::NAMES;
use super::push::Push;
use super::registry::Registry;

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
#[command(mut_arg("path", |path| path
    .value_name("IMAGE|PATH")
    .help("Deploy this image of ECR, or the image that a push of this directory, zip package or file makes")))]
#[command(mut_arg("env", |env| env.value_name("NAME[=VALUE]").help(
    "Set a variable of the function, without VALUE to that of this environment; the others stay (repeatable)")))]
#[command(mut_arg("entrypoint", |arg| arg.help("Set the program to run; for an IMAGE, in the function's settings")))]
#[command(mut_arg("cmd", |arg| arg.help("Set its arguments; for an IMAGE, in the function's settings")))]
#[command(mut_arg("handler", |arg| arg.help("Set the handler; for an IMAGE, in the function's settings")))]
#[command(mut_arg("workdir", |arg| arg.help("Set the directory to start in; for an IMAGE, in the function's settings")))]
pub struct Deploy {
    /// Deploy to this function: its name, or its ARN
    pub function: String,
    #[command(flatten)]
    pub push: Push,
    #[command(flatten)]
    pub settings: DeploySettings,
}

/// What becomes of the function.
#[derive(ClapArgs)]
#[command(next_help_heading = "Function")]
pub struct DeploySettings {
    /// Create the function if it does not exist
    #[arg(long, requires = "role")]
    pub create: bool,
    /// Set the execution role
    #[arg(long, value_name = "ARN")]
    pub role: Option<String>,
    /// Set the variables that FILE has, one NAME=VALUE a line (repeatable)
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Remove a variable (repeatable)
    #[arg(long, value_name = "NAME")]
    pub unset_env: Vec<String>,
    /// Set the memory, in MiB
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(i32).range(128..=10_240))]
    pub memory: Option<i32>,
    /// Set the longest time of an invocation
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(1..=900))]
    pub timeout: Option<i32>,
    /// Set the size of /tmp, in MiB
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(i32).range(512..=10_240))]
    pub ephemeral_storage: Option<i32>,
    /// Let the architecture of the function change to that of the image
    #[arg(long)]
    pub change_arch: bool,
    /// Publish a version
    #[arg(long)]
    pub publish: bool,
    /// Publish a version, and let this alias name it
    #[arg(long, value_name = "NAME", value_parser = alias)]
    pub alias: Option<String>,
    /// Give the function back what it had if Lambda cannot use the image or the settings
    #[arg(long)]
    pub rollback_on_failure: bool,
    /// Let functions of another account use the image (repeatable)
    #[arg(long, value_name = "ID", requires = "allow_lambda")]
    pub allow_account: Vec<String>,
    /// Wait for Lambda at most this long, after each change
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub wait: u64,
}

/// The form of <https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html>: a number is a version.
fn alias(text: &str) -> Result<String, String> {
    let is_right = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_number = text.chars().all(|c| c.is_ascii_digit());
    match !text.is_empty() && text.len() <= 128 && text.chars().all(is_right) && !is_number {
        true => Ok(text.to_owned()),
        false => Err("an alias has letters, digits, - and _, and is no number".to_owned()),
    }
}

#[derive(ClapArgs)]
pub struct Status {
    /// Show this function, version or alias: NAME, NAME:ALIAS, or an ARN
    pub function: String,
    /// Tell whether it runs this image [default: the tag by which it was deployed]
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    #[command(flatten)]
    pub registry: Registry,
}
