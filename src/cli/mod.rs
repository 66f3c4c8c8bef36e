//! The command line. It uses nothing but the library's public surface.

mod args;
mod cache;
#[cfg(feature = "check")]
mod check;
mod config;
mod diff;
#[cfg(feature = "aws")]
mod doctor;
#[cfg(feature = "aws")]
mod ecr;
mod exit;
mod handler;
mod human;
mod init;
mod inspect;
mod json;
#[cfg(feature = "aws")]
mod login;
mod lower;
mod packages;
mod push;
mod report;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command, Output};
use self::exit::Failure;
use self::report::Report;

/// What every command has at hand.
struct Context {
    output: Output,
    report: Report,
    #[cfg(feature = "aws")]
    aws: lbuild::aws::Aws,
}

/// Reads the arguments, does what they say, and tells how it went.
pub fn run() -> ExitCode {
    let mut args = parse();
    let report = Report::new(&args.output);
    // Before the runtime starts, signals still end a wait for somebody to type.
    if let Err(failure) = lower::read_input(&mut args.command) {
        report.failure(&failure);
        return ExitCode::from(failure.code());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(until_interrupted(execute(args, report.clone())));
            // Threads that still compress have been told to stop, and have nothing that anybody waits for.
            runtime.shutdown_background();
            done
        }
        Err(source) => Err(Failure::Start { source }),
    };
    report.finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

/// The arguments. Docker starts its credential helpers by a name of their own, and adds one word.
fn parse() -> Args {
    let words: Vec<_> = std::env::args_os().collect();
    let name = words.first().map(std::path::Path::new).and_then(std::path::Path::file_stem);
    match name.is_some_and(|name| cfg!(feature = "aws") && name == "docker-credential-lbuild") {
        true => Args::parse_from(
            ["lbuild".into(), "credential-helper".into()].into_iter().chain(words.into_iter().skip(1)),
        ),
        false => Args::parse(),
    }
}

async fn execute(args: Args, report: Report) -> Result<(), Failure> {
    let context = Context {
        output: args.output,
        report,
        #[cfg(feature = "aws")]
        aws: lbuild::aws::Aws::from_env(),
    };
    match args.command {
        Command::Init(args) => init::run(&args),
        Command::Push(args) => push::run(args, push::Default::None, &context).await,
        Command::Build(args) => push::run(args, push::Default::Layout, &context).await,
        Command::Plan(args) => push::plan(args, &context).await,
        Command::Inspect(args) => inspect::run(&args, &context).await,
        Command::Diff(args) => diff::run(&args, &context).await,
        #[cfg(feature = "check")]
        Command::Check(args) => check::run(&args, &context).await,
        #[cfg(feature = "check")]
        Command::Rules(args) => check::rules(&args, &context.output),
        #[cfg(feature = "aws")]
        Command::Doctor(args) => doctor::run(args, &context).await,
        #[cfg(feature = "aws")]
        Command::Repo(command) => ecr::run(command, &context).await,
        #[cfg(feature = "aws")]
        Command::Login(args) => login::print(args, &context).await,
        #[cfg(feature = "aws")]
        Command::CredentialHelper(args) => login::helper(args, &context).await,
        Command::Cache(command) => cache::run(&command, &context.output),
    }
}

/// Drops the work when the user or the system asks to stop: its files have no names yet, its tags not moved.
async fn until_interrupted(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).map_err(|source| Failure::Start { source })?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(lbuild::Error::Interrupted.into()),
        _ = term.recv() => Err(lbuild::Error::Interrupted.into()),
    }
}
