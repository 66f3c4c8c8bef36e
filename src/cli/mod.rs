//! The command line. It uses only the library's public surface.

mod args;
mod commands;
mod context;
mod destination;
mod docker;
mod engine;
mod input;
mod interruption;
mod kaniko;
mod logins;
mod lower;
mod output;
mod runtime;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::commands::{
    base, cache, diff, init, inspect, layer, plan, push, rebase, sam, shim, terraform, with,
};
#[cfg(feature = "aws")]
use self::commands::{cdk, deploy, doctor, login, repo, status};
#[cfg(feature = "check")]
use self::commands::{check, rules};
#[cfg(target_os = "linux")]
use self::commands::{invoke, run};
use self::context::Context;
use self::destination::DefaultDestination;
use self::interruption::Interruption;
use self::output::exit::Failure;
use self::output::human::shown;
use self::output::report::Report;

/// Parses the arguments, runs the command and returns its exit code.
pub fn run() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some(words) = docker::words(&words) {
        return docker::run(words);
    }
    if let Some(words) = kaniko::words(&words) {
        return kaniko::run(words);
    }
    let mut args = match parse(words) {
        Ok(args) => args,
        Err(error) => return refused(&error),
    };
    let report = Report::new(args.output.style());
    match &args.command {
        Command::With(args) => return with::run(args, &report),
        // Behind flags of lbuild's own.
        Command::Docker(args) => return docker::run(docker::after_name(&args.words)),
        Command::Kaniko(args) => return kaniko::run(kaniko::after_name(&args.words)),
        _ => {}
    }
    // Standard input is read before the runtime handles signals, so that a signal still ends the process.
    if let Err(failure) = input::read(&mut args.command) {
        report.failure(&failure);
        return ExitCode::from(failure.code());
    }
    match runtime::until_done(&report, |interruption| execute(args, report.clone(), interruption)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.code();
            tell(report, failure);
            ExitCode::from(code)
        }
    }
}

/// How long the report of an interruption may take.
const LAST: std::time::Duration = std::time::Duration::from_secs(1);

/// Reports the failure that ends the command. After an interruption, that must not keep it: standard error may be a pipe that
/// nobody reads.
fn tell(report: Report, failure: Failure) {
    if !matches!(failure, Failure::Library(lbuild::Error::Interrupted)) {
        return report.failure(&failure);
    }
    let (done, told) = std::sync::mpsc::channel();
    let telling = move || {
        report.failure(&failure);
        let _ = done.send(());
    };
    if std::thread::Builder::new().spawn(telling).is_ok() {
        let _ = told.recv_timeout(LAST);
    }
}

/// Parses the arguments. Docker starts a credential helper as `docker-credential-NAME`, with the verb as argument.
fn parse(words: Vec<OsString>) -> Result<Args, clap::Error> {
    let name = words.first().map(std::path::Path::new).and_then(std::path::Path::file_stem);
    match name.is_some_and(|name| cfg!(feature = "aws") && name == "docker-credential-lbuild") {
        true => Args::try_parse_from(
            ["lbuild".into(), "credential-helper".into()].into_iter().chain(words.into_iter().skip(1)),
        ),
        false => Args::try_parse_from(words),
    }
}

/// Prints the message for arguments that do not parse, or the help. The message repeats the arguments.
fn refused(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let shown = shown(&text);
    match error.use_stderr() && shown != text {
        true => eprint!("{shown}"),
        // A closed pipe is not a failure.
        false => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

async fn execute(args: Args, report: Report, interruption: Interruption) -> Result<(), Failure> {
    let mut context = Context {
        report,
        json: args.output.json,
        jobs: args.output.jobs,
        interruption,
        logins: context::Logins::Usual,
        #[cfg(feature = "aws")]
        aws: lbuild::aws::Aws::from_env(),
    };
    match args.command {
        Command::Init(args) => init::run(&args),
        Command::Shim(command) => shim::run(&command),
        // `run` has taken these calls, which have an end of their own.
        Command::With(_) | Command::Docker(_) | Command::Kaniko(_) => Ok(()),
        Command::Push(args) => push::run(args, DefaultDestination::None, &context).await,
        Command::Build(args) => push::run(args, DefaultDestination::Layout, &context).await,
        Command::Plan(args) => plan::run(args, &context).await,
        Command::Inspect(args) => inspect::run(&args, &context).await,
        Command::Diff(args) => diff::run(&args, &context).await,
        #[cfg(feature = "check")]
        Command::Check(args) => check::run(&args, &context).await,
        #[cfg(feature = "check")]
        Command::Rules(args) => rules::run(&args, &context),
        #[cfg(target_os = "linux")]
        Command::Invoke(args) => invoke::run(*args, &context).await,
        #[cfg(target_os = "linux")]
        Command::Run(args) => run::run(*args, &context).await,
        #[cfg(feature = "aws")]
        Command::Deploy(args) => deploy::run(*args, &context).await,
        #[cfg(feature = "aws")]
        Command::Status(args) => status::run(&args, &context).await,
        #[cfg(feature = "aws")]
        Command::Doctor(args) => doctor::run(args, &context).await,
        #[cfg(feature = "aws")]
        Command::Repo(command) => repo::run(command, &context).await,
        #[cfg(feature = "aws")]
        Command::Login(args) => login::print(args, &context).await,
        #[cfg(feature = "aws")]
        Command::CredentialHelper(args) => login::helper(args, &context).await,
        Command::Rebase(args) => rebase::run(args, &context).await,
        Command::Base(command) => base::run(&command, &context).await,
        Command::Layer(command) => layer::run(command, &context).await,
        Command::Sam(command) => sam::run(command, &mut context).await,
        #[cfg(feature = "aws")]
        Command::Cdk(command) => cdk::run(command, &context).await,
        Command::Terraform(args) => terraform::run(&args, &context).await,
        Command::Cache(command) => cache::run(&command, &context),
    }
}
