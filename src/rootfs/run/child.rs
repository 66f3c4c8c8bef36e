//! The processes of a command, from clone to exec. The unsafe calls are in [`calls`](super::calls).
//!
//! ```text
//!  lbuild ── keeper ── command
//!            init of an outer process namespace    init of an inner one, with mounts of its own
//! ```
//!
//! The command itself is process 1, without a copy of lbuild's memory beside it. The keeper is there for the end: the
//! kernel kills it when the thread that started it ends, in whatever way, and with it its namespace. The command cannot
//! have that signal itself, because it is lost on exec of a setuid program and when a process changes its user. The
//! command does not see the keeper, and may not read its memory, since it is not dumpable.
//!
//! Both children are copies of a process that may have had more threads, with locks held: they make system calls with
//! arguments that the parent has prepared, and allocate nothing.

use std::ffi::{CStr, CString, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, Result};
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus};

use super::calls::{self, Strings};
use super::reaper;
use super::report::{Report, Writer};
use super::steps::Step;

/// What the children do.
#[derive(Debug)]
pub(super) struct Plan {
    /// The keeper and the command get namespaces. Without, the keeper ends what the command leaves.
    pub(super) isolated: bool,
    /// A user namespace is among them.
    pub(super) userns: bool,
    /// The command gets a network namespace, in which there is nothing but itself.
    pub(super) no_network: bool,
    pub(super) steps: Vec<Step>,
    /// None for a probe, which ends after the steps.
    pub(super) program: Option<Program>,
}

/// The arguments of execve, for each candidate.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) candidates: Vec<CString>,
    arguments: Strings,
    environment: Strings,
}

/// The descriptors of the children. None is below 3.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) null: OwnedFd,
    /// Standard output and standard error.
    pub(super) output: OwnedFd,
    /// The parent writes a byte when the maps of ids are there.
    pub(super) go: OwnedFd,
    pub(super) report: OwnedFd,
    /// Takes the listener of the filter.
    pub(super) listener: Option<OwnedFd>,
}

impl Program {
    pub(super) fn new(candidates: &[CString], arguments: &[CString], environment: &[CString]) -> Program {
        Program {
            candidates: candidates.to_vec(),
            arguments: Strings::new(arguments),
            environment: Strings::new(environment),
        }
    }
}

/// Starts the keeper, which waits for the byte. Gives its number and a descriptor of it.
pub(super) fn start(plan: &Plan, descriptors: &Descriptors) -> Result<(Pid, OwnedFd)> {
    let kept = Kept::new(descriptors);
    let user = if plan.userns { libc::CLONE_NEWUSER } else { 0 };
    let processes = if plan.isolated { libc::CLONE_NEWPID } else { 0 };
    calls::without_signals(|| match calls::clone_with_descriptor(user | processes)? {
        Some(started) => Ok(started),
        None => keeper(plan, descriptors, &kept),
    })
}

/// The descriptors that a child keeps, in ascending order, and the highest one that its parent had open.
struct Kept {
    numbers: [RawFd; 6],
    highest: RawFd,
}

impl Kept {
    fn new(descriptors: &Descriptors) -> Kept {
        let Descriptors { null, output, go, report, listener } = descriptors;
        let listener = listener.as_ref().map_or(report.as_raw_fd(), AsRawFd::as_raw_fd);
        let mut numbers =
            [2, null.as_raw_fd(), output.as_raw_fd(), go.as_raw_fd(), report.as_raw_fd(), listener];
        numbers.sort_unstable();
        let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let open = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // Another thread may open more before the child has its copy.
        Kept { numbers, highest: open.max().unwrap_or(1 << 16) + 256 }
    }

    /// Closes all other descriptors above 2.
    fn close_others(&self) {
        let end = self.numbers.iter().skip(1).copied().chain([c_int::MAX]);
        for (before, after) in self.numbers.iter().zip(end) {
            if before + 1 < after {
                self.close(before + 1, after - 1);
            }
        }
    }

    /// Closes all but these.
    fn close_all_but(&self, mut numbers: [RawFd; 3]) {
        numbers.sort_unstable();
        let [first, second, third] = numbers;
        Kept { numbers: [-1, first, second, third, third, third], ..*self }.close_others();
    }

    fn close(&self, first: RawFd, last: RawFd) {
        calls::close(first, last, self.highest);
    }
}

/// The life of the keeper.
fn keeper(plan: &Plan, descriptors: &Descriptors, kept: &Kept) -> ! {
    let mut writer = Writer::new(&descriptors.report);
    let keep = if plan.isolated { keep } else { keep_alone };
    if let Err(errno) = keep(plan, descriptors, kept, &mut writer) {
        let _ = writer.send(Report::Keeper { errno });
    }
    calls::exit(0)
}

fn keep(plan: &Plan, descriptors: &Descriptors, kept: &Kept, writer: &mut Writer<'_>) -> Result<()> {
    kept.close_others();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the parent had ended before that, the pipe ends here.
    let mut byte = [0];
    if rustix::io::retry_on_intr(|| rustix::io::read(&descriptors.go, &mut byte))? == 0 {
        return Ok(());
    }
    // Only now, because nobody may write the maps of a process that is not dumpable.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let network = if plan.no_network { libc::CLONE_NEWNET } else { 0 };
    let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let Some(pid) = calls::clone(namespaces | network)? else { command(plan, descriptors, writer) };
    let report = descriptors.report.as_raw_fd();
    kept.close(0, report - 1);
    kept.close(report + 1, c_int::MAX);
    let waited = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()))?;
    let (_, status) = waited.ok_or(Errno::CHILD)?;
    tell(status, writer)
}

/// As [`keep`], without namespaces: what the command leaves has to be found.
fn keep_alone(plan: &Plan, descriptors: &Descriptors, kept: &Kept, writer: &mut Writer<'_>) -> Result<()> {
    kept.close_others();
    reaper::adopt_orphans()?;
    let mut byte = [0];
    if rustix::io::retry_on_intr(|| rustix::io::read(&descriptors.go, &mut byte))? == 0 {
        return Ok(());
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let network = if plan.no_network { libc::CLONE_NEWNET } else { 0 };
    let Some((pid, pidfd)) = calls::clone_with_descriptor(network)? else {
        command(plan, descriptors, writer)
    };
    let Descriptors { go, report, .. } = descriptors;
    kept.close_all_but([go.as_raw_fd(), report.as_raw_fd(), pidfd.as_raw_fd()]);
    if let Some(status) = reaper::wait(pid, &pidfd, go)? {
        tell(status, writer)?;
    }
    reaper::end_children()
}

/// Reports how the command has ended.
fn tell(status: WaitStatus, writer: &mut Writer<'_>) -> Result<()> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => writer.send(Report::Exited { code }),
        (None, Some(signal)) => writer.send(Report::Killed { signal }),
        (None, None) => Err(Errno::CHILD),
    }
}

/// The life of process 1 until exec.
fn command(plan: &Plan, descriptors: &Descriptors, writer: &mut Writer<'_>) -> ! {
    if let Err(errno) = standard_streams(descriptors) {
        let _ = writer.send(Report::Keeper { errno });
        calls::exit(1);
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    for (index, step) in plan.steps.iter().enumerate() {
        if let Err(errno) = step.call.perform(&mut |path| writer.send(Report::Stub { path })) {
            let _ = writer.send(Report::Step { index: index as u32, errno });
            calls::exit(1);
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let Some(program) = &plan.program else { calls::exit(0) };
    calls::reset_signals();
    let failure = execute(program);
    let _ = writer.send(failure);
    calls::exit(1)
}

fn standard_streams(descriptors: &Descriptors) -> Result<()> {
    let Descriptors { null, output, .. } = descriptors;
    calls::replace(0, null)?;
    calls::replace(1, output)?;
    calls::replace(2, output)
}

/// Executes the first candidate that exists, as execvp does. Returns only with a failure: of a candidate that may not
/// be executed, else of the last.
fn execute(program: &Program) -> Report<'static> {
    let mut refused = None;
    let mut last = Report::Exec { candidate: 0, errno: Errno::NOENT, exists: false };
    for (index, path) in program.candidates.iter().enumerate() {
        let errno = calls::execute(path, &program.arguments, &program.environment);
        let exists = errno == Errno::NOENT && exists(path);
        last = Report::Exec { candidate: index as u32, errno, exists };
        match errno {
            Errno::ACCESS => refused = refused.or(Some(last)),
            Errno::NOENT | Errno::NOTDIR | Errno::NODEV | Errno::STALE | Errno::TIMEDOUT if !exists => {}
            _ => return last,
        }
    }
    refused.unwrap_or(last)
}

/// Whether ENOENT is about the interpreter of a program.
fn exists(program: &CStr) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, program, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty())
        .is_ok()
}
