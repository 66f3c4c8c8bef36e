//! The arguments of `docker build`.

use std::path::PathBuf;

use clap::Args;

use super::flags::Flags;
use crate::cli::args::accepted::Accepted;

/// `docker build`.
#[derive(Args)]
pub struct Build {
    /// The directory whose files COPY takes; with `-`, a Dockerfile is on standard input
    #[arg(value_name = "PATH")]
    pub path: String,
    /// Name the image (repeatable)
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// The Dockerfile [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set an ARG, without VALUE to that of the environment (repeatable)
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// Use a directory or image for NAME (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_context: Vec<String>,
    /// Build this stage
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// The platform, of which Lambda takes one
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Vec<String>,
    /// Set a label (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Give RUN --mount=type=secret a file or a variable (repeatable)
    #[arg(long)]
    pub secret: Vec<String>,
    /// Give RUN --mount=type=ssh an agent (repeatable)
    #[arg(long)]
    pub ssh: Vec<String>,
    /// Make every layer
    #[arg(long)]
    pub no_cache: bool,
    /// Make every layer of these stages
    #[arg(long, value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Prefer images of registries to those of the local store
    #[arg(long)]
    pub pull: bool,
    /// Reuse layers of this image (repeatable)
    #[arg(long)]
    pub cache_from: Vec<String>,
    /// Where the image goes (repeatable)
    #[arg(short, long, value_name = "type=…")]
    pub output: Vec<String>,
    /// Store the image here, as without it
    #[arg(long)]
    pub load: bool,
    /// Push the image to the registries of its names
    #[arg(long)]
    pub push: bool,
    /// Write the image's id to FILE
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write names and digests to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Print only the image's id
    #[arg(short, long)]
    pub quiet: bool,
    /// The network of commands: default or host
    #[arg(long)]
    pub network: Option<String>,
    #[command(flatten)]
    pub without_meaning: Accepted<Flags>,
}
