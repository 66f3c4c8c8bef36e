//! The runtime, and its end on a machine that allows no more threads or open files.

use std::io;
use std::panic;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::interruption::{self, Interruption};
use super::output::exit::Failure;
use super::output::report::Report;

/// How long an idle thread that reads files is kept: longer than any run.
const KEPT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Starts the runtime. If later no thread can be started at a place where only a panic is possible, the process ends
/// with the same failure as elsewhere; also if too few files can be opened.
pub fn start(report: &Report) -> Result<Runtime, Failure> {
    let report = report.clone();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match panic.payload_as_str().and_then(missing) {
        Some(failure) => {
            report.end();
            report.failure(&failure);
            // The hook ends the process, because tokio would wait for the threads that it has started.
            std::process::exit(failure.code().into());
        }
        None => usual(panic),
    }));
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_keep_alive(KEPT).enable_all();
    let runtime = builder.build().map_err(|source| Failure::Start { source })?;
    // As long as one thread can read files and look up names, tokio waits for it when it cannot start another.
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// Runs the work of a command, until it is done or a signal ends it.
pub fn until_done<W>(report: &Report, work: impl FnOnce(Interruption) -> W) -> Result<(), Failure>
where
    W: Future<Output = Result<(), Failure>>,
{
    let runtime = start(report)?;
    let interruption = Interruption::new();
    let work = work(interruption.clone());
    let done = runtime.block_on(interruption::until_told(work, report, &interruption));
    report.end();
    // Does not wait for compression threads, which end by themselves.
    runtime.shutdown_background();
    done
}

/// The failure for a panic of tokio or of the standard library on a machine that allows no more threads or open files.
fn missing(message: &str) -> Option<Failure> {
    let source = |reason: &str| io::Error::other(reason.to_owned());
    let threads = ["OS can't spawn worker thread: ", "failed to spawn thread: "];
    if let Some(reason) = threads.iter().find_map(|start| message.strip_prefix(start)) {
        return Some(lbuild::Error::Threads { source: source(reason) }.into());
    }
    // The pipe of the signal handlers.
    let files =
        ["failed to create UnixStream: ", "failed to clone Unix stream: ", "failed to clone UnixStream: "];
    let reason = files.iter().find_map(|start| message.strip_prefix(start))?;
    Some(Failure::Start { source: source(reason) })
}
