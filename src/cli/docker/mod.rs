//! lbuild as `docker`: for tools that call it to build and push images. It is started by a link named `docker`, `buildx` or
//! `docker-buildx`, as a plugin of Docker's own command, or as `lbuild docker`.
//!
//! The words, texts and exit codes are Docker's. What it cannot do without a daemon is refused by name.

mod archive;
mod args;
mod build;
mod builder;
mod bundling;
mod engine;
mod images;
mod inspect;
mod login;
mod names;
mod platform;
mod pull;
mod push;
mod refused;
mod run;
mod tag;
mod template;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use self::args::{BuilderVerb, Buildx, ContextVerb, Docker, ImageVerb, Verb};
#[cfg(feature = "check")]
use super::commands::push::tool;
use super::context::{Context, Logins};
use super::interruption::Interruption;
use super::output::digests;
use super::output::exit::Failure;
use super::output::report::{self, Report, Style};
use super::runtime;

/// The words of a call of `docker`, if these words of the process are one.
pub fn words(words: &[OsString]) -> Option<Vec<OsString>> {
    let name = words.first().map(Path::new).and_then(Path::file_stem).and_then(OsStr::to_str)?;
    match name {
        "docker" => Some(after_name(&words[1..])),
        "buildx" | "docker-buildx" => {
            // Docker's own command gives a plugin all words, with its own flags before the plugin's name.
            let rest = &words[1..];
            let is_plugin = rest.iter().any(|word| word == "buildx")
                && rest
                    .first()
                    .is_some_and(|word| word == "buildx" || word.as_encoded_bytes().starts_with(b"-"));
            let name: &[OsString] = if is_plugin { &[] } else { &["buildx".into()] };
            Some(after_name(&[name, rest].concat()))
        }
        _ if words.get(1).is_some_and(|word| word == "docker") => Some(after_name(&words[2..])),
        _ => None,
    }
}

/// The words of a call of `docker` with these arguments.
pub fn after_name(words: &[OsString]) -> Vec<OsString> {
    std::iter::once("docker".into()).chain(words.iter().cloned()).collect()
}

/// Runs a call of `docker`, and returns its exit code.
pub fn run(words: Vec<OsString>) -> ExitCode {
    digests::shorten();
    let quiet = Report::new(Style::Quiet);
    let args = match Docker::parsed(words) {
        Ok(args) => args,
        Err(error) => {
            return match refused::of_arguments(&error) {
                Some(failure) => ended(&quiet, failure),
                None => {
                    let _ = error.print();
                    ExitCode::SUCCESS
                }
            };
        }
    };
    let report = Report::new(if args.is_quiet() { Style::Quiet } else { Style::Usual });
    match runtime::until_done(&report, |interruption| execute(args, report.clone(), interruption)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&report, failure),
    }
}

/// Reports a failure. Docker's command has few exit codes: 125 for what it does not know, 1 for the rest.
fn ended(report: &Report, failure: Failure) -> ExitCode {
    #[cfg(feature = "check")]
    let failure = tool::in_terms_of_variables(failure);
    report.failure_last(&failure);
    ExitCode::from(match failure {
        Failure::Docker { code, .. } => code,
        Failure::Library(lbuild::Error::Interrupted) => failure.code(),
        _ => 1,
    })
}

async fn execute(args: Docker, report: Report, interruption: Interruption) -> Result<(), Failure> {
    let Docker { config, version, verb, host, context: named, .. } = args;
    if !host.is_empty() || named.as_deref().is_some_and(|name| name != builder::CONTEXT) {
        report.note("--host and --context have no meaning without a daemon");
    }
    let context = Context {
        report,
        json: false,
        jobs: None,
        interruption,
        logins: Logins::Stored { config },
        #[cfg(feature = "aws")]
        aws: lbuild::aws::Aws::from_env(),
    };
    let context = &context;
    let Some(verb) = verb.filter(|_| !version) else {
        return if version { builder::short_version() } else { report::print_exact(&Docker::help()) };
    };
    match verb {
        Verb::Build(args) => build::run(*args, context).await,
        Verb::Buildx { verb } => buildx(verb, context).await,
        Verb::Image(verb) => image(verb, context).await,
        Verb::Builder(BuilderVerb::Build(args)) => build::run(*args, context).await,
        Verb::Builder(BuilderVerb::Other(words)) => Err(refused::verb("builder", &words)),
        Verb::Tag(args) => tag::run(&args, context),
        Verb::Push(args) => push::run(&args, context).await,
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Images(args) => images::run(&args, context),
        Verb::Load(args) => archive::load(&args, context).await,
        Verb::Save(args) => archive::save(&args, context).await,
        Verb::Login(args) => login::log_in(args, context).await,
        Verb::Logout(args) => login::log_out(&args, context).await,
        Verb::Pull(args) => pull::run(&args, context).await,
        Verb::Rmi(args) => tag::remove(&args, context),
        Verb::Version(args) => builder::version(args.format.as_deref()),
        Verb::Info(args) => builder::info(args.format.as_deref()),
        Verb::Context(verb) => docker_context(verb),
        Verb::Run(args) => run::run(&args.words, context).await,
        Verb::Other(words) => Err(refused::verb("", &words)),
    }
}

async fn buildx(verb: Option<Buildx>, context: &Context) -> Result<(), Failure> {
    match verb {
        // Tools ask only whether it is there.
        None => report::print("Usage:  docker buildx COMMAND (build, version, inspect, ls, create, use, rm)"),
        Some(Buildx::Build(args)) => build::run(*args, context).await,
        Some(Buildx::Version) => builder::buildx_version(),
        Some(Buildx::Inspect(args)) => builder::inspect(args.name.or(args.builder).as_deref()),
        Some(Buildx::Ls(_)) => builder::list(),
        Some(Buildx::Create(args)) => report::print(args.name.as_deref().unwrap_or(builder::NAME)),
        Some(Buildx::Use(_)) => Ok(()),
        Some(Buildx::Rm(args)) => {
            let mut names = args.words.iter().filter(|word| !word.starts_with('-'));
            names.try_for_each(|name| report::print(&format!("{name} removed")))
        }
        Some(Buildx::Other(words)) if words.first().is_some_and(|word| word == builder::METADATA) => {
            builder::metadata()
        }
        Some(Buildx::Other(words)) => Err(refused::verb("buildx", &words)),
    }
}

async fn image(verb: ImageVerb, context: &Context) -> Result<(), Failure> {
    match verb {
        ImageVerb::Build(args) => build::run(*args, context).await,
        ImageVerb::Inspect(args) => inspect::run(&args, context),
        ImageVerb::Ls(args) => images::run(&args, context),
        ImageVerb::Tag(args) => tag::run(&args, context),
        ImageVerb::Push(args) => push::run(&args, context).await,
        ImageVerb::Pull(args) => pull::run(&args, context).await,
        ImageVerb::Load(args) => archive::load(&args, context).await,
        ImageVerb::Save(args) => archive::save(&args, context).await,
        ImageVerb::Rm(args) => tag::remove(&args, context),
        ImageVerb::Other(words) => Err(refused::verb("image", &words)),
    }
}

fn docker_context(verb: ContextVerb) -> Result<(), Failure> {
    match verb {
        ContextVerb::Inspect(args) => builder::context(args.format.as_deref()),
        ContextVerb::Create(args) => args.words.iter().take(1).try_for_each(|name| report::print(name)),
        ContextVerb::Use(_) | ContextVerb::Rm(_) => Ok(()),
        ContextVerb::Ls(_) => builder::contexts(),
        ContextVerb::Show => report::print(builder::CONTEXT),
        ContextVerb::Other(words) => Err(refused::verb("context", &words)),
    }
}
