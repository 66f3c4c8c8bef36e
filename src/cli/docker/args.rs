//! The arguments of `docker` and `buildx` that lbuild serves. A flag may stand anywhere, a later one replaces an earlier
//! one, and a switch may have a value, as in `--load=true`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::build::args::Build;
use crate::cli::args::switches::with_values;

/// `docker`, without a daemon
#[derive(Parser)]
#[command(name = "docker", disable_version_flag = true, args_override_self = true)]
pub struct Docker {
    /// Take the logins from config.json in this directory
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Has no meaning without a daemon
    #[arg(short = 'H', long)]
    pub host: Vec<String>,
    /// Has no meaning without a daemon
    #[arg(short = 'c', long)]
    pub context: Option<String>,
    /// Has no meaning here
    #[arg(short = 'D', long)]
    pub debug: bool,
    /// Has no meaning here
    #[arg(short = 'l', long)]
    pub log_level: Option<String>,
    /// Print the version
    #[arg(short = 'v', long)]
    pub version: bool,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Build an image from a Dockerfile, into the local image store or a registry
    Build(Box<Build>),
    /// `docker buildx` and its verbs
    #[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Buildx {
        #[command(subcommand)]
        verb: Option<Buildx>,
    },
    /// `docker image` and its verbs
    #[command(subcommand)]
    Image(ImageVerb),
    /// `docker builder build`
    #[command(subcommand)]
    Builder(BuilderVerb),
    /// Give an image of the local store another name
    Tag(Tag),
    /// Send an image of the local store to its registry
    Push(Push),
    /// Show images of the local store
    Inspect(Inspect),
    /// List the images of the local store
    Images(Images),
    /// Take images from a docker-archive into the local store
    Load(Load),
    /// Write an image of the local store to a docker-archive
    Save(Save),
    /// Store a login for a registry
    Login(Login),
    /// Remove the login for a registry
    Logout(Logout),
    /// Give an image of a registry its name in the local store
    Pull(Pull),
    /// Remove images from the local store
    Rmi(Remove),
    /// Print the versions of client and server
    Version(Format),
    /// Print what `docker info` says of a daemon
    Info(Format),
    /// `docker context` and its verbs
    #[command(subcommand)]
    Context(ContextVerb),
    /// Nothing but the two command lines that need no container
    Run(Run),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Subcommand)]
pub enum ImageVerb {
    /// As `docker build`
    Build(Box<Build>),
    /// As `docker inspect`
    Inspect(Inspect),
    /// As `docker images`
    #[command(visible_alias = "list")]
    Ls(Images),
    /// As `docker tag`
    Tag(Tag),
    /// As `docker push`
    Push(Push),
    /// As `docker pull`
    Pull(Pull),
    /// As `docker load`
    Load(Load),
    /// As `docker save`
    Save(Save),
    /// As `docker rmi`
    #[command(visible_alias = "remove")]
    Rm(Remove),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Subcommand)]
pub enum BuilderVerb {
    /// As `docker build`
    Build(Box<Build>),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Subcommand)]
pub enum Buildx {
    /// As `docker build`
    #[command(visible_alias = "b")]
    Build(Box<Build>),
    /// Print the version of Buildx whose calls are understood
    Version,
    /// Print the builder, which is lbuild
    Inspect(BuilderName),
    /// Print the builders
    Ls(AnyWords),
    /// Accept a builder's name
    Create(Create),
    /// Accept a builder's name
    Use(AnyWords),
    /// Accept a builder's name
    Rm(AnyWords),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Subcommand)]
pub enum ContextVerb {
    /// Print the context
    Inspect(ContextInspect),
    /// Accept a context's name
    Create(AnyWords),
    /// Accept a context's name
    Use(AnyWords),
    /// Accept a context's name
    Rm(AnyWords),
    /// Print the contexts
    Ls(AnyWords),
    /// Print the context's name
    Show,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Words that are accepted for what they do to a daemon.
#[derive(Args)]
pub struct AnyWords {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Args)]
pub struct BuilderName {
    pub name: Option<String>,
    /// The builder's name
    #[arg(long)]
    pub builder: Option<String>,
    /// Has no meaning without a daemon
    #[arg(long)]
    pub bootstrap: bool,
}

#[derive(Args)]
pub struct Create {
    /// The builder's name
    #[arg(long)]
    pub name: Option<String>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Args)]
pub struct ContextInspect {
    #[arg(short, long)]
    pub format: Option<String>,
    pub names: Vec<String>,
}

#[derive(Args)]
pub struct Format {
    #[arg(short, long)]
    pub format: Option<String>,
}

#[derive(Args)]
pub struct Tag {
    /// The image: a name or an id
    pub source: String,
    /// The new name
    pub target: String,
}

#[derive(Args)]
pub struct Push {
    /// Print only the name
    #[arg(short, long)]
    pub quiet: bool,
    /// The platform, of which an image has one
    #[arg(long)]
    pub platform: Option<String>,
    /// Has no meaning here
    #[arg(long)]
    pub disable_content_trust: bool,
    /// The image's name
    pub name: String,
}

#[derive(Args)]
pub struct Inspect {
    /// Print with a template
    #[arg(short, long)]
    pub format: Option<String>,
    /// The type: image
    #[arg(long = "type")]
    pub kind: Option<String>,
    /// Has no meaning here
    #[arg(short, long)]
    pub size: bool,
    /// Names or ids
    #[arg(required = true)]
    pub names: Vec<String>,
}

#[derive(Args)]
pub struct Images {
    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Has no meaning here
    #[arg(short, long)]
    pub all: bool,
    /// Print whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Print digests
    #[arg(long)]
    pub digests: bool,
    /// Print with a template, or as json
    #[arg(long)]
    pub format: Option<String>,
    /// List only images that fit: reference=PATTERN or dangling=true
    #[arg(short, long)]
    pub filter: Vec<String>,
    /// List only images of this repository
    pub repository: Option<String>,
}

#[derive(Args)]
pub struct Load {
    /// The archive [default: standard input]
    #[arg(short, long)]
    pub input: Option<PathBuf>,
    /// Print only the names
    #[arg(short, long)]
    pub quiet: bool,
    /// The platform, of which an image has one
    #[arg(long)]
    pub platform: Option<String>,
}

#[derive(Args)]
pub struct Save {
    /// The archive [default: standard output]
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// The platform, of which an image has one
    #[arg(long)]
    pub platform: Option<String>,
    /// Names of one image
    #[arg(required = true)]
    pub names: Vec<String>,
}

#[derive(Args)]
pub struct Login {
    #[arg(short, long)]
    pub username: Option<String>,
    /// The password; better on standard input
    #[arg(short, long)]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// The registry [default: Docker Hub]
    pub server: Option<String>,
}

#[derive(Args)]
pub struct Logout {
    /// The registry [default: Docker Hub]
    pub server: Option<String>,
}

#[derive(Args)]
pub struct Pull {
    /// The platform, of which Lambda takes one
    #[arg(long)]
    pub platform: Option<String>,
    #[arg(short, long)]
    pub quiet: bool,
    /// Has no meaning here
    #[arg(long)]
    pub disable_content_trust: bool,
    /// The image's name
    pub name: String,
}

#[derive(Args)]
pub struct Remove {
    /// Remove an image with all its names; say nothing of one that is not there
    #[arg(short, long)]
    pub force: bool,
    /// Has no meaning here
    #[arg(long)]
    pub no_prune: bool,
    /// Names or ids
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// `docker run`, of which all words are needed to know it.
#[derive(Args)]
pub struct Run {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

impl Docker {
    /// The text that a call without a verb prints.
    pub fn help() -> String {
        Docker::command().render_help().to_string()
    }

    /// Whether only results, warnings and errors are printed.
    pub fn is_quiet(&self) -> bool {
        match &self.verb {
            Some(
                Verb::Build(build)
                | Verb::Buildx { verb: Some(Buildx::Build(build)) }
                | Verb::Image(ImageVerb::Build(build))
                | Verb::Builder(BuilderVerb::Build(build)),
            ) => build.quiet,
            Some(Verb::Push(push) | Verb::Image(ImageVerb::Push(push))) => push.quiet,
            // They have no other output.
            Some(Verb::Load(_) | Verb::Save(_) | Verb::Image(ImageVerb::Load(_) | ImageVerb::Save(_))) => {
                true
            }
            Some(Verb::Pull(pull) | Verb::Image(ImageVerb::Pull(pull))) => pull.quiet,
            _ => false,
        }
    }

    /// The parsed arguments.
    pub fn parsed(words: Vec<OsString>) -> Result<Docker, clap::Error> {
        let matches = with_values(Docker::command()).try_get_matches_from(words)?;
        <Docker as clap::FromArgMatches>::from_arg_matches(&matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(words: &[&str]) -> Build {
        let words = ["docker", "build"].iter().chain(words).map(OsString::from).collect();
        match Docker::parsed(words).unwrap().verb {
            Some(Verb::Build(build)) => *build,
            _ => panic!("not a build"),
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        with_values(Docker::command()).debug_assert();
    }

    #[test]
    fn flags_stand_anywhere_and_switches_may_have_values() {
        let args = build(&[
            "-t",
            "a:1",
            "./fn",
            "--platform=linux/arm64",
            "--load=true",
            "--pull=false",
            "-t",
            "b",
            "--push=0",
        ]);
        assert_eq!(
            (args.path.as_str(), args.tag, args.load),
            ("./fn", vec!["a:1".to_owned(), "b".to_owned()], true)
        );
        assert!(!args.pull && !args.push);
        let args = build(&["--target", "one", "--target", "two", "--no-cache", "."]);
        assert_eq!((args.target.as_deref(), args.no_cache), (Some("two"), true));
    }
}
