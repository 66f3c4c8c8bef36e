//! `lbuild with`: runs a command that finds lbuild as `docker`.

mod socket;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use lbuild::{Cache, Workplace};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::shim;
use crate::cli::args::with::With;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;
use crate::cli::runtime;

/// The longest path of a socket: `sun_path` of unix(7), with the zero at its end.
const LONGEST_SOCKET: usize = 107;

/// The name of the socket.
const SOCKET: &str = "engine.sock";

/// The exit codes of a shell for a program that it does not find, and for one that it cannot start.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// Runs the command, and returns its exit code.
pub fn run(args: &With, report: &Report) -> ExitCode {
    let done = runtime::start(report).and_then(|runtime| runtime.block_on(with(&args.words)));
    match done {
        Ok(status) => ExitCode::from(code(status)),
        Err(failure) => {
            report.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

async fn with(words: &[OsString]) -> Result<ExitStatus, Failure> {
    let place = place()?;
    let dir = absolute(&place)?;
    shim::links(&dir)?;
    let socket = dir.join(SOCKET);
    let _engine = socket::serve(&socket)?;
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir.clone()).chain(std::env::split_paths(&dirs));
    let path = std::env::join_paths(dirs).map_err(|_| {
        Failure::usage("the path of the cache has a colon", "set LBUILD_CACHE to a directory without one")
    })?;
    // Signals are handled from here on, so that none ends this process before the command.
    let (mut term, mut hangup, mut interrupt) = (
        handled(SignalKind::terminate())?,
        handled(SignalKind::hangup())?,
        handled(SignalKind::interrupt())?,
    );
    let mut command = tokio::process::Command::new(&words[0]);
    command
        .args(&words[1..])
        .env("PATH", path)
        // The command may run docker in another directory.
        .env("LBUILD_CACHE", absolute_cache()?)
        // By its name: CDK writes the value into the assembly, which another run may publish.
        .env("CDK_DOCKER", "docker")
        .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
        .env("DOCKER_BUILDKIT", "0")
        .env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let mut child = command.spawn().map_err(|error| not_started(&words[0], &error))?;
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(|source| Failure::Start { source }),
            _ = term.recv() => tell(&child, Signal::TERM),
            _ = hangup.recv() => tell(&child, Signal::HUP),
            // The terminal sends it to the command as well.
            _ = interrupt.recv() => if !is_of_terminal() { tell(&child, Signal::INT) },
        }
    }
}

fn absolute_cache() -> Result<PathBuf, Failure> {
    let root = Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
    std::path::absolute(root).map_err(|source| Failure::Start { source })
}

/// Whether this process is one of those to which the terminal sends its signals.
fn is_of_terminal() -> bool {
    let foreground = rustix::termios::tcgetpgrp(std::io::stdin());
    foreground.is_ok_and(|group| group == rustix::process::getpgrp())
}

fn handled(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|source| Failure::Start { source })
}

fn tell(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended meanwhile.
        let _ = kill_process(id, signal);
    }
}

fn not_started(word: &OsString, error: &io::Error) -> Failure {
    let message = format!("cannot start {}: {error}", Path::new(word).display());
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    Failure::docker(code, message, "write the command after --, as in `lbuild with -- cdk deploy`")
}

/// The exit code that a shell gives for a status.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(1)
}

/// The directory of the links and the socket, which is removed at the end: in the cache, unless the path of a socket there
/// would be too long.
fn place() -> Result<Workplace, Failure> {
    let cache = Cache::at(Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?);
    let place = cache.workplace()?;
    match absolute(&place)?.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
        true => Ok(place),
        false => Ok(Workplace::temporary()?),
    }
}

fn absolute(place: &Workplace) -> Result<PathBuf, Failure> {
    std::path::absolute(place.path()).map_err(|source| Failure::Start { source })
}
