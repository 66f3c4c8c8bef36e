//! The parent's side of a run: starts the keeper, reads what the children write, and ends them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::calls;
use super::child::{self, Descriptors, PROCESS_1, Plan};
use super::command::{Exit, Failure};
use super::ids::Maps;
use super::obstacle::Obstacle;
use super::report::{Records, Report};

/// How often the parent looks at the caller's wish to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const CHUNK: usize = 64 << 10;
/// How often a parent that can be woken looks.
const LONG_LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// What a pipe holds unless it was enlarged.
const MOST_IN_PIPE: usize = 64 << 10;

/// The parent's ends of the pipes.
#[derive(Debug)]
pub(super) struct Ends {
    /// A pipe that has ended is not polled any more; otherwise poll would return at once.
    output: Option<File>,
    others_output: Option<File>,
    report: Option<File>,
    /// `None` after the end.
    go: Option<OwnedFd>,
    listener: Option<OwnedFd>,
}

/// What comes from the children.
pub(super) enum Received<'r> {
    /// Output: of the first program, or of the others.
    Output { others: bool, piece: &'r [u8] },
    /// Records, the last of which may be incomplete.
    Reports(&'r [u8]),
    /// A descriptor that a step sends.
    Descriptor(OwnedFd),
}

/// The channels that only some plans need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    /// A socket on which descriptors come back.
    pub(super) listener: bool,
    /// A pipe for the output of all programs but the first.
    pub(super) others_output: bool,
}

/// Pipes between parent and children.
pub(super) fn channels(extra: Extra) -> io::Result<(Ends, Descriptors)> {
    let pipe = || {
        let (reader, writer) = io::pipe()?;
        Ok::<_, io::Error>((above_streams(reader.into())?, above_streams(writer.into())?))
    };
    let ((output, output_writer), (report, report_writer), (go_reader, go)) = (pipe()?, pipe()?, pipe()?);
    for end in [&output, &report] {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    let (others_output, others_writer) = match extra.others_output {
        true => {
            let (reader, writer) = pipe()?;
            rustix::io::ioctl_fionbio(&reader, true)?;
            (Some(reader.into()), Some(writer))
        }
        false => (None, None),
    };
    let (ours, theirs) = if extra.listener {
        let (ours, theirs) = UnixStream::pair()?;
        (Some(above_streams(ours.into())?), Some(above_streams(theirs.into())?))
    } else {
        (None, None)
    };
    let null = above_streams(File::open("/dev/null")?.into())?;
    let ends = Ends {
        output: Some(output.into()),
        others_output,
        report: Some(report.into()),
        go: Some(go),
        listener: ours,
    };
    let descriptors = Descriptors {
        null,
        output: output_writer,
        others_output: others_writer,
        go: go_reader,
        report: report_writer,
        listener: theirs,
        rules: None,
    };
    Ok((ends, descriptors))
}

/// The child replaces the descriptors below 3.
fn above_streams(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 {
        return Ok(descriptor);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, 3)?)
}

/// A keeper. Dropping it ends it, and all processes of its namespace, or all that it keeps.
#[derive(Debug)]
pub(super) struct Running {
    isolated: bool,
    pid: Pid,
    pidfd: OwnedFd,
    ends: Ends,
    buffer: Vec<u8>,
}

impl Running {
    /// Starts the keeper, and the command with it.
    ///
    /// # Errors
    /// When the system refuses a namespace or its maps.
    pub(super) fn start(
        plan: &Plan,
        maps: Option<&Maps>,
        ends: Ends,
        descriptors: Descriptors,
    ) -> Result<Running, Obstacle> {
        Running::start_after(plan, maps, ends, descriptors, &mut |_| Ok(()))
    }

    /// The same, after `before` with the number of the keeper, the parent of all processes to come.
    ///
    /// # Errors
    /// Also those of `before`.
    pub(super) fn start_after<E: From<Obstacle>>(
        plan: &Plan,
        maps: Option<&Maps>,
        ends: Ends,
        descriptors: Descriptors,
        before: &mut dyn FnMut(Pid) -> Result<(), E>,
    ) -> Result<Running, E> {
        let step = match plan {
            Plan { isolated: false, .. } => "create a process",
            Plan { userns: true, .. } => "create a user namespace",
            _ => "create a process namespace",
        };
        let (pid, pidfd) = child::start(plan, &descriptors).map_err(|errno| Obstacle { step, errno })?;
        let running = Running { isolated: plan.isolated, pid, pidfd, ends, buffer: Vec::new() };
        if let Some(maps) = maps {
            maps.write(pid)?;
        }
        before(pid)?;
        running.go();
        Ok(running)
    }

    /// Has the keeper go on; then process 1, if it waits to start the first of its programs.
    pub(super) fn go(&self) {
        // Fails if the keeper has ended, which `poll` finds.
        if let Some(go) = &self.ends.go {
            let _ = rustix::io::write(go, b"g");
        }
    }

    /// Has the keeper end the command and all that it keeps; without namespaces only.
    pub(super) fn release(&mut self) {
        self.ends.go = None;
    }

    /// The number of the keeper.
    pub(super) fn number(&self) -> Pid {
        self.pid
    }

    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }

    /// Waits until all processes have ended, and returns their reports.
    ///
    /// # Errors
    /// When `stop` is set, or reading fails: the processes go on then, until `self` is dropped.
    pub(super) fn wait(
        &mut self,
        output: &mut dyn FnMut(&[u8]),
        stop: &AtomicBool,
        listening: &mut dyn FnMut(OwnedFd) -> io::Result<()>,
    ) -> Result<Vec<u8>, Failure> {
        let mut reports = Vec::new();
        let mut take = |received: Received<'_>| {
            match received {
                Received::Output { piece, .. } => output(piece),
                Received::Reports(piece) => reports.extend_from_slice(piece),
                Received::Descriptor(listener) => {
                    return listening(listener).map_err(Failure::io("receive the listener of owners"));
                }
            }
            Ok(())
        };
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            let ended = self.poll(None).map_err(Failure::io("wait for the command"))?;
            self.take(&mut take, if ended { Amount::All } else { Amount::Piece })?;
            if ended {
                return Ok(reports);
            }
        }
    }

    /// Passes on what has come from the processes.
    ///
    /// # Errors
    /// When reading fails, or `take`.
    pub(super) fn take(
        &mut self,
        take: &mut dyn FnMut(Received<'_>) -> Result<(), Failure>,
        amount: Amount,
    ) -> Result<(), Failure> {
        while let Some(descriptor) = self.receive().map_err(Failure::io("receive a descriptor"))? {
            take(Received::Descriptor(descriptor))?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        let Ends { output, others_output, report, .. } = &mut self.ends;
        drain(report, &mut buffer, &mut |piece| take(Received::Reports(piece)), amount)?;
        drain(output, &mut buffer, &mut |piece| take(Received::Output { others: false, piece }), amount)?;
        drain(
            others_output,
            &mut buffer,
            &mut |piece| take(Received::Output { others: true, piece }),
            amount,
        )?;
        self.buffer = buffer;
        Ok(())
    }

    /// Waits for something to read, for a while. Whether the keeper has ended: all that was written is in the pipes.
    pub(super) fn poll(&self, wake: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let mut polled = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        let Ends { output, others_output, report, listener, .. } = &self.ends;
        let pipes = [output, others_output, report].into_iter().flatten();
        polled.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        polled.extend(listener.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        polled.extend(wake.iter().map(|wake| PollFd::new(wake, PollFlags::IN)));
        let look = if wake.is_some() { &LONG_LOOK } else { &LOOK };
        match poll(&mut polled, Some(look)) {
            Ok(_) | Err(Errno::INTR) => Ok(!polled[0].revents().is_empty()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A descriptor, if one is there.
    fn receive(&mut self) -> io::Result<Option<OwnedFd>> {
        let Some(socket) = &self.ends.listener else { return Ok(None) };
        match calls::receive(socket) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Ok(Some(descriptor)) => Ok(Some(descriptor)),
            // None can come any more.
            Ok(None) => {
                self.ends.listener = None;
                Ok(None)
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.isolated {
            // The keeper is a child that nobody has waited for, so the descriptor is of no other process.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        } else {
            // The keeper ends the command, and then itself.
            self.ends.go = None;
        }
        let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(self.pid), WaitOptions::empty()));
    }
}

/// How much is read of each pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    Piece,
    /// What was there before: no more than a pipe holds (pipe(7)), whoever goes on writing.
    Present,
    /// To the end: nobody writes any more.
    All,
}

/// Reads what a pipe has. Closes it at its end.
fn drain(
    pipe: &mut Option<File>,
    buffer: &mut [u8],
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    amount: Amount,
) -> Result<(), Failure> {
    let mut rest = match amount {
        Amount::Piece => 1,
        Amount::Present => MOST_IN_PIPE,
        Amount::All => usize::MAX,
    };
    while let Some(open) = pipe {
        match open.read(buffer) {
            Ok(0) => *pipe = None,
            Ok(read) => {
                take(&buffer[..read])?;
                rest = rest.saturating_sub(read);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Failure::io("read from the command")(source)),
        }
        if rest == 0 || amount == Amount::Piece {
            break;
        }
    }
    Ok(())
}

/// What the reports of a run say.
#[derive(Debug)]
pub(super) struct Ended<'r> {
    failure: Option<Report<'r>>,
    exit: Option<Exit>,
    /// Paths in the image, in the order in which they were created.
    pub(super) stubs: Vec<&'r Path>,
}

impl<'r> Ended<'r> {
    pub(super) fn new(reports: &'r [u8]) -> Ended<'r> {
        let mut ended = Ended { failure: None, exit: None, stubs: Vec::new() };
        for report in Records(reports) {
            match report {
                Report::Stub { path } => ended.stubs.push(Path::new(OsStr::from_bytes(path))),
                Report::Exited { code, .. } => ended.exit = Some(Exit::Code(code)),
                Report::Killed { signal, .. } => ended.exit = Some(Exit::Signal(signal)),
                failure => ended.failure = Some(failure),
            }
        }
        ended
    }

    /// How the command ended. A failure before exec looks like an exit to the keeper.
    pub(super) fn exit(&self, plan: &Plan) -> Result<Exit, Failure> {
        match self.failure {
            None => self.exit.ok_or(Failure::Killed),
            Some(failure) => Err(failed(plan, failure)),
        }
    }
}

/// The failure that a report tells of.
pub(super) fn failed(plan: &Plan, report: Report<'_>) -> Failure {
    match report {
        Report::Exec { program, candidate, errno, exists } => {
            let program = plan.work.program(program.into());
            let program = program.and_then(|program| program.candidates.get(candidate as usize));
            let program = program.map(|program| program.to_bytes()).unwrap_or_default();
            Failure::Exec { program: PathBuf::from(OsStr::from_bytes(program)), errno, exists }
        }
        Report::Step { program, index, errno } => {
            let step = match program {
                PROCESS_1 => plan.steps.get(index as usize),
                program => plan.work.step(program.into(), index as usize),
            };
            let (name, about) = step.map_or(("set up the command", ""), |step| (step.name, &step.about));
            Failure::Step { step: name, about: about.to_owned(), errno }
        }
        Report::Keeper { errno } => {
            let step = "create the namespaces of the command";
            Failure::Step { step, about: String::new(), errno }
        }
        Report::Stub { .. } | Report::Exited { .. } | Report::Killed { .. } => Failure::Killed,
    }
}
