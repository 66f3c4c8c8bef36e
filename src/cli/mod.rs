//! The command line. It uses nothing but the library's public surface.

mod args;
mod cache;
mod config;
mod exit;
mod human;
mod init;
mod inspect;
mod json;
mod lower;
mod push;
mod report;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::exit::Failure;
use self::report::Report;

/// Reads the arguments, does what they say, and tells how it went.
pub fn run() -> ExitCode {
    let mut args = Args::parse();
    let report = Report::new(&args.output);
    // Before the runtime starts, signals still end a wait for somebody to type.
    if let Err(failure) = lower::read_password(&mut args.command) {
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

async fn execute(args: Args, report: Report) -> Result<(), Failure> {
    let output = args.output;
    match args.command {
        Command::Init(args) => init::run(&args),
        Command::Push(args) => push::run(args, push::Default::None, &output, &report).await,
        Command::Build(args) => push::run(args, push::Default::Layout, &output, &report).await,
        Command::Plan(args) => push::plan(args, &output, &report).await,
        Command::Inspect(args) => inspect::run(&args, &output, &report).await,
        Command::Cache(command) => cache::run(&command, &output),
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
