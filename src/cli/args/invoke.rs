//! The arguments of `invoke` and `run`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::image::{ImageArgs, NAMES};
use super::registry::Registry;

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct Invoke {
    #[command(flatten)]
    pub image: InvokedImage,
    /// The event [default: {}]
    #[arg(short = 'd', long = "data", value_name = "JSON", help_heading = "Invocation")]
    pub data: Option<String>,
    /// Read the event from FILE, or from standard input (-)
    #[arg(long, value_name = "FILE", conflicts_with = "data", help_heading = "Invocation")]
    pub event: Option<PathBuf>,
    /// Give the function this client context, a JSON object
    #[arg(long, value_name = "JSON", help_heading = "Invocation")]
    pub client_context: Option<String>,
    /// Invoke this function in AWS instead: NAME, NAME:ALIAS, or an ARN
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "FUNCTION", help_heading = "Invocation")]
    pub remote: Option<String>,
    #[command(flatten)]
    pub function: FunctionArgs,
    #[command(flatten)]
    pub registry: Registry,
    /// The event that was read from standard input.
    #[arg(skip)]
    pub stdin: Option<Vec<u8>>,
}

#[derive(ClapArgs)]
#[command(after_help = NAMES)]
pub struct Run {
    #[command(flatten)]
    pub image: InvokedImage,
    /// Listen on this port of 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 9000, help_heading = "Invocation")]
    pub port: u16,
    /// Serve the function's URL: any HTTP request becomes an event, and the response an HTTP response
    #[arg(long, help_heading = "Invocation")]
    pub url: bool,
    /// Build again when the code changes, and invoke the new image from then on
    #[arg(long, help_heading = "Invocation")]
    pub watch: bool,
    /// Invoke the function this many times at once; further requests wait
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = "Invocation",
        default_value_t = 10)]
    pub concurrency: u16,
    #[command(flatten)]
    pub function: FunctionArgs,
    #[command(flatten)]
    pub registry: Registry,
}

/// The image of the function.
#[derive(ClapArgs)]
#[command(mut_arg("path", |path| path
    .value_name("IMAGE|PATH")
    .help("Invoke this image, or the image that a build of this directory, zip package or file would make")))]
#[command(mut_arg("arch", |arch| arch.help(
    "Build for this architecture, and select its image from an index: arm64 (aarch64) or amd64 (x86_64) [default: this \
     machine's, if there is a choice]")))]
#[command(mut_arg("env", |env| env.value_name("NAME[=VALUE]").help(
    "Set a variable, without VALUE to that of this environment; nothing is replaced in it (repeatable)")))]
pub struct InvokedImage {
    #[command(flatten)]
    pub args: ImageArgs,
}

/// The settings of the function.
#[derive(ClapArgs)]
#[command(next_help_heading = "Invocation")]
pub struct FunctionArgs {
    /// Set the variables that FILE has, one NAME=VALUE a line (repeatable)
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// End an invocation that takes longer, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = timeout, default_value = "300")]
    pub timeout: f64,
    /// End a function that uses more memory, in MiB
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(32..=10_240), default_value_t = 3008)]
    pub memory: u32,
    /// Give /tmp this size, in MiB
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(512..=10_240), default_value_t = 512)]
    pub ephemeral_storage: u32,
    /// Give the function a name
    #[arg(long, value_name = "NAME", default_value = "test_function")]
    pub function_name: String,
    /// Give the function this machine's network, or one of its own without any other machine
    #[arg(long, value_enum, default_value_t = NetworkName::Host)]
    pub network: NetworkName,
    /// Give the function your AWS credentials
    #[cfg(feature = "aws")]
    #[arg(long)]
    pub with_credentials: bool,
    /// Tell the function that it is in this Region [default: that of the environment, or us-east-1]
    #[arg(long)]
    pub region: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    Host,
    None,
}

/// Lambda's longest time is 15 minutes.
fn timeout(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 900.0 => Ok(seconds),
        _ => Err("expected a number of seconds, up to 900".to_owned()),
    }
}
