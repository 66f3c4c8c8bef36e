//! The arguments, as typed.

#[cfg(feature = "aws")]
pub mod ecr;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use lbuild::image::{Arch, Format};
use lbuild::recipe::Bytecode;

/// Turns a source directory into an AWS Lambda container image and pushes it: no Docker, no daemon, no root
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = super::exit::CODES)]
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
    Cache(Cache),
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

/// How to talk to the user, and how hard to work.
#[derive(ClapArgs, Clone)]
pub struct Output {
    /// Print nothing but warnings, errors and results
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print events as JSON lines on standard error; results as JSON where there is more than a name
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads that compress [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

#[derive(ClapArgs)]
pub struct Init {
    /// The function's directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
}

#[derive(ClapArgs)]
pub struct Push {
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    pub registry: Registry,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub ecr: ecr::Ecr,
    /// Where to: REGISTRY/REPO[:TAG], oci:DIR[:TAG] or docker-archive:FILE[:NAME[:TAG]]; may be repeated
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
    /// A tag for every destination, besides the one it may name; may be repeated
    #[arg(long)]
    pub tag: Vec<String>,
    /// The manifest's format [default: docker; oci in an OCI layout]
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Do everything but write to the destination
    #[arg(long)]
    pub dry_run: bool,
    /// Send the image whatever `lbuild check` would find
    #[cfg(feature = "check")]
    #[arg(long)]
    pub no_check: bool,
    /// Findings of `lbuild check` that are no reason not to send it; may be repeated
    #[cfg(feature = "check")]
    #[arg(long, value_name = "RULE", conflicts_with = "no_check")]
    pub allow: Vec<String>,
    /// Write the image's names and digests to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Write the image's digest to FILE
    #[arg(long, value_name = "FILE")]
    pub digest_file: Option<PathBuf>,
    #[command(flatten)]
    pub caching: Caching,
}

/// What layers that were made earlier are good for.
#[derive(ClapArgs)]
pub struct Caching {
    /// Take layers from this image too, where they are what would be made; may be repeated
    #[arg(long, value_name = "IMAGE", conflicts_with = "no_cache")]
    pub cache_from: Vec<String>,
    /// Make every layer, even if the cache or the image that the tag names has it
    #[arg(long)]
    pub no_cache: bool,
    /// Make cached layers anew as well, and fail if they differ
    #[arg(long, conflicts_with = "no_cache")]
    pub verify_cache: bool,
}

#[derive(ClapArgs)]
pub struct Plan {
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    pub registry: Registry,
}

/// What the image is made of. Every value can stand in lbuild.toml instead.
#[derive(ClapArgs)]
pub struct What {
    /// The function's directory, whose lbuild.toml is read; or its zip package, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// The architecture: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long)]
    pub arch: Option<Arch>,
    /// The Lambda runtime whose base image to use, as python3.12
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    pub runtime: Option<String>,
    /// The base image: REGISTRY/REPO[:TAG], oci:DIR[:TAG], docker-archive:FILE[:NAME[:TAG]] or scratch
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Dependencies as a layer below the code: a directory, or the zip of a Lambda layer, which goes to /opt; may be
    /// repeated
    #[arg(long, value_name = "SRC[:/PATH]")]
    pub deps: Vec<String>,
    #[command(flatten)]
    pub python: Python,
    #[command(flatten)]
    pub node: Node,
    /// Files for another place in the image, as a layer above the code; may be repeated
    #[arg(long, value_name = "SRC:/PATH")]
    pub add: Vec<String>,
    /// The function's handler, as app.handler
    #[arg(long, conflicts_with = "cmd")]
    pub handler: Option<String>,
    /// The program to run: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub entrypoint: Option<String>,
    /// The arguments of the entrypoint: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub cmd: Option<String>,
    /// The directory to start in
    #[arg(long, value_name = "/PATH")]
    pub workdir: Option<String>,
    /// A variable; $NAME in the value stands for what the base has, as in PATH=/x:$PATH; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// A label; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// The user to run as
    #[arg(long)]
    pub user: Option<String>,
}

/// Python packages, as layers of wheels below the code.
#[derive(ClapArgs)]
pub struct Python {
    /// Python packages, as layers below the code: a requirements.txt, which uv or pip resolves for the image
    #[arg(long, value_name = "FILE", conflicts_with = "lock")]
    pub requirements: Option<PathBuf>,
    /// Python packages, as layers below the code: uv.lock, pylock.toml, poetry.lock or Pipfile.lock
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Take wheels from this directory, and from nowhere else
    #[arg(long, value_name = "DIR")]
    pub wheels: Option<PathBuf>,
    /// Refuse a package that the requirements have no hash for
    #[arg(long)]
    pub require_hashes: bool,
    /// Leave out what a function never reads: tests, type stubs, static libraries
    #[arg(long)]
    pub slim: bool,
    /// Compile modules ahead, with an interpreter of the image's version on this machine: the image then depends on it
    /// [default: never]
    #[arg(long, value_name = "WHEN", value_parser = bytecode)]
    pub compile_bytecode: Option<Bytecode>,
    /// The image's version of Python, where the runtime or the base's name does not say it
    #[arg(long, value_name = "VERSION")]
    pub python_version: Option<String>,
}

fn bytecode(text: &str) -> Result<Bytecode, String> {
    match text {
        "auto" => Ok(Bytecode::Auto),
        "always" => Ok(Bytecode::Always),
        "never" => Ok(Bytecode::Never),
        _ => Err("it is auto, always or never".to_owned()),
    }
}

/// Node packages, as a layer below the code.
#[derive(ClapArgs)]
pub struct Node {
    /// Node packages, as a layer below the code: what PATH's package-lock.json or pnpm-lock.yaml names, installed for
    /// the image by npm or pnpm
    #[arg(long)]
    pub npm: bool,
    /// Run the packages' install scripts, on this machine
    #[arg(long)]
    pub npm_scripts: bool,
}

/// How to reach registries.
#[derive(ClapArgs)]
pub struct Registry {
    /// The user to log in as; without it, Docker's stored logins count
    #[arg(long, requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// What standard input held.
    #[arg(skip)]
    pub password: Option<lbuild::Secret>,
    /// Speak plain HTTP to this registry (HOST[:PORT]); may be repeated
    #[arg(long, value_name = "REGISTRY")]
    pub insecure: Vec<String>,
}

#[derive(ClapArgs)]
#[command(after_help = super::inspect::shown::HELP)]
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
#[command(after_help = super::inspect::shown::HELP)]
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

#[cfg(feature = "check")]
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
    pub what: What,
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

#[cfg(feature = "check")]
#[derive(Clone, Copy, ValueEnum)]
pub enum Deny {
    /// Warnings
    Warnings,
    /// Warnings and notes
    Notes,
}

#[cfg(feature = "check")]
#[derive(ClapArgs)]
pub struct Rules {
    /// The rule
    pub rule: Option<String>,
}

#[derive(Subcommand)]
pub enum Cache {
    /// Print where the cache is and what it holds
    Info,
    /// Remove what was not used lately
    Prune {
        /// What was not used for this many days goes; 0 empties the cache
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Then what was used least lately goes, until the cache is no larger, as 500MB or 2GiB
        #[arg(long, value_name = "SIZE", value_parser = super::human::size)]
        max_size: Option<u64>,
    },
}

#[derive(ValueEnum, Clone, Copy)]
pub enum FormatName {
    Docker,
    Oci,
}

impl What {
    /// The first of the flags that say how to make an image, if one was given.
    #[cfg(feature = "check")]
    pub fn making(&self) -> Option<&'static str> {
        let Python { requirements, lock, wheels, require_hashes, slim, compile_bytecode, python_version } =
            &self.python;
        let given = [
            ("--runtime", self.runtime.is_some()),
            ("--base", self.base.is_some()),
            ("--deps", !self.deps.is_empty()),
            ("--requirements", requirements.is_some()),
            ("--lock", lock.is_some()),
            ("--wheels", wheels.is_some()),
            ("--require-hashes", *require_hashes),
            ("--slim", *slim),
            ("--compile-bytecode", compile_bytecode.is_some()),
            ("--python-version", python_version.is_some()),
            ("--npm", self.node.npm),
            ("--npm-scripts", self.node.npm_scripts),
            ("--add", !self.add.is_empty()),
            ("--handler", self.handler.is_some()),
            ("--entrypoint", self.entrypoint.is_some()),
            ("--cmd", self.cmd.is_some()),
            ("--workdir", self.workdir.is_some()),
            ("--env", !self.env.is_empty()),
            ("--label", !self.label.is_empty()),
            ("--user", self.user.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Format {
        match name {
            FormatName::Docker => Format::Docker,
            FormatName::Oci => Format::Oci,
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
