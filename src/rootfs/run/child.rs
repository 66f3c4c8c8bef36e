//! The processes of a command, from clone to exec. The unsafe calls are in [`calls`](super::calls).
//!
//! ```text
//!  lbuild ── keeper ── command
//!            init of an outer process namespace    init of an inner one, with mounts of its own
//! ```
//!
//! The command itself is process 1, without a copy of lbuild's memory beside it; several programs are started and waited
//! for by process 1, see [`supervise`]. The keeper is there for the end: the
//! kernel kills it when the thread that started it ends, in whatever way, and with it its namespace. The command cannot
//! have that signal itself, because it is lost on exec of a setuid program and when a process changes its user. The
//! command does not see the keeper, and may not read its memory, since it is not dumpable.
//!
//! Both children are copies of a process that may have had more threads, with locks held: they make system calls with
//! arguments that the parent has prepared, and allocate nothing.

use std::ffi::{CStr, CString, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
    pub(super) work: Work,
    /// The place of lbuild's arguments, which the command must not see as those of process 1.
    pub(super) arguments: Option<(usize, usize)>,
}

/// What follows the steps.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing: a probe.
    Nothing,
    /// A program, which becomes process 1.
    Program(Program),
    /// At most [`MOST_PROGRAMS`], which process 1 starts.
    Programs(Vec<Started>),
}

impl Work {
    /// A program by its number.
    pub(super) fn program(&self, number: usize) -> Option<&Program> {
        match self {
            Work::Nothing => None,
            Work::Program(program) => Some(program).filter(|_| number == 0),
            Work::Programs(programs) => programs.get(number).map(|started| &started.program),
        }
    }

    /// A step of a program's own.
    pub(super) fn step(&self, number: usize, index: usize) -> Option<&Step> {
        match self {
            Work::Nothing | Work::Program(_) => None,
            Work::Programs(programs) => programs.get(number)?.steps.get(index),
        }
    }
}

/// A program that process 1 starts. The output of the first is apart from that of the others.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) program: Program,
    pub(super) steps: Vec<Step>,
}

/// The number in reports that stands for process 1 itself.
pub(super) const PROCESS_1: u8 = u8::MAX;
pub(super) const MOST_PROGRAMS: usize = 32;

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
    /// The same for all programs but the first.
    pub(super) others_output: Option<OwnedFd>,
    /// The parent writes a byte when the maps of ids are there.
    pub(super) go: OwnedFd,
    pub(super) report: OwnedFd,
    /// Takes the listener of the filter.
    pub(super) listener: Option<OwnedFd>,
    /// Rules of Landlock.
    pub(super) rules: Option<OwnedFd>,
}

impl Plan {
    /// The number in the keeper's reports of process 1.
    fn number(&self) -> u8 {
        if matches!(self.work, Work::Programs(_)) { PROCESS_1 } else { 0 }
    }
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
    numbers: [RawFd; 8],
    highest: RawFd,
}

impl Kept {
    fn new(descriptors: &Descriptors) -> Kept {
        let Descriptors { null, output, others_output, go, report, listener, rules } = descriptors;
        let or_report = |optional: &Option<OwnedFd>| optional.as_ref().unwrap_or(report).as_raw_fd();
        let [listener, others_output, rules] = [listener, others_output, rules].map(or_report);
        let always = [null, output, go, report].map(AsRawFd::as_raw_fd);
        let mut numbers = [2, always[0], always[1], always[2], always[3], listener, others_output, rules];
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
        Kept { numbers: [-1, first, second, third, third, third, third, third], ..*self }.close_others();
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
    tell(plan.number(), status, writer)
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
        tell(plan.number(), status, writer)?;
    }
    reaper::end_children()
}

/// Reports how a program has ended.
fn tell(program: u8, status: WaitStatus, writer: &mut Writer<'_>) -> Result<()> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => writer.send(Report::Exited { program, code }),
        (None, Some(signal)) => writer.send(Report::Killed { program, signal }),
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
    perform(&plan.steps, PROCESS_1, writer);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match &plan.work {
        Work::Nothing => calls::exit(0),
        Work::Program(program) => become_program(program, 0, writer),
        Work::Programs(programs) => {
            if let Some(arguments) = plan.arguments {
                calls::erase(arguments);
            }
            let _ = rustix::thread::set_name(c"init");
            if let Err(errno) = supervise(programs, descriptors, writer) {
                let _ = writer.send(Report::Keeper { errno });
            }
            calls::exit(0)
        }
    }
}

/// Performs steps; the process ends with the first that fails.
fn perform(steps: &[Step], program: u8, writer: &mut Writer<'_>) {
    for (index, step) in steps.iter().enumerate() {
        if let Err(errno) = step.call.perform(&mut |path| writer.send(Report::Stub { path })) {
            let _ = writer.send(Report::Step { program, index: index as u32, errno });
            calls::exit(1);
        }
    }
}

fn become_program(program: &Program, number: u8, writer: &mut Writer<'_>) -> ! {
    calls::reset_signals();
    let failure = execute(program, number);
    let _ = writer.send(failure);
    calls::exit(1)
}

/// The life of process 1 beside the programs that it starts, the first of them last, when the parent says so: it reports how each has ended, and takes over the processes
/// that lose their parents. It ends when no process is left. The programs cannot read its memory, which is a copy of
/// lbuild's, because it is not dumpable.
fn supervise(programs: &[Started], descriptors: &Descriptors, writer: &mut Writer<'_>) -> Result<()> {
    // Signals have no effect on the first process of a namespace unless it handles them.
    calls::reset_signals();
    let mut numbers = [None; MOST_PROGRAMS];
    let start = |number: usize, numbers: &mut [Option<Pid>; MOST_PROGRAMS]| -> Result<()> {
        let Some(started) = programs.get(number) else { return Ok(()) };
        numbers[number] = calls::clone(0)?;
        match numbers[number] {
            Some(_) => Ok(()),
            None => start_program(started, number as u8, descriptors),
        }
    };
    (1..programs.len()).try_for_each(|number| start(number, &mut numbers))?;
    let mut has_started = false;
    loop {
        let wait = if has_started { WaitOptions::empty() } else { WaitOptions::NOHANG };
        match rustix::io::retry_on_intr(|| rustix::process::wait(wait)) {
            Err(Errno::CHILD) if has_started => return Ok(()),
            Ok(Some((ended, status))) => {
                if let Some(number) = numbers.iter().position(|pid| *pid == Some(ended)) {
                    tell(number as u8, status, writer)?;
                }
            }
            Ok(None) | Err(Errno::CHILD) if !has_started && is_called(&descriptors.go)? => {
                start(0, &mut numbers)?;
                has_started = true;
            }
            Ok(None) | Err(Errno::CHILD) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// How often process 1 looks for programs that have ended before the first one has started.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Whether the parent has the first program start. Waits for that, for a moment.
fn is_called(go: &OwnedFd) -> Result<bool> {
    let mut polled = [PollFd::new(go, PollFlags::IN)];
    if rustix::io::retry_on_intr(|| poll(&mut polled, Some(&LOOK)))? == 0 {
        return Ok(false);
    }
    match rustix::io::retry_on_intr(|| rustix::io::read(go, &mut [0]))? {
        // The parent has ended.
        0 => Err(Errno::PIPE),
        _ => Ok(true),
    }
}

/// The life of a program until exec.
fn start_program(started: &Started, number: u8, descriptors: &Descriptors) -> ! {
    let writer = &mut Writer::new(&descriptors.report);
    if let (Some(output), true) = (&descriptors.others_output, number > 0)
        && let Err(errno) = calls::replace(1, output).and_then(|()| calls::replace(2, output))
    {
        let _ = writer.send(Report::Keeper { errno });
        calls::exit(1);
    }
    perform(&started.steps, number, writer);
    become_program(&started.program, number, writer)
}

fn standard_streams(descriptors: &Descriptors) -> Result<()> {
    let Descriptors { null, output, .. } = descriptors;
    calls::replace(0, null)?;
    calls::replace(1, output)?;
    calls::replace(2, output)
}

/// Executes the first candidate that exists, as execvp does. Returns only with a failure: of a candidate that may not
/// be executed, else of the last.
fn execute(program: &Program, number: u8) -> Report<'static> {
    let failed = |candidate: usize, errno, exists| Report::Exec {
        program: number,
        candidate: candidate as u32,
        errno,
        exists,
    };
    let mut refused = None;
    let mut last = failed(0, Errno::NOENT, false);
    for (index, path) in program.candidates.iter().enumerate() {
        let errno = calls::execute(path, &program.arguments, &program.environment);
        let exists = errno == Errno::NOENT && exists(path);
        last = failed(index, errno, exists);
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
