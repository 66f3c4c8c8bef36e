//! The parent's side of a run: starts the keeper, reads what the children write, and ends them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::calls;
use super::child::{self, Descriptors, Plan};
use super::command::{Exit, Failure};
use super::ids::Maps;
use super::obstacle::Obstacle;
use super::report::{Records, Report};

/// How often the parent looks at the caller's wish to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const CHUNK: usize = 64 << 10;

/// The parent's ends of the pipes.
#[derive(Debug)]
pub(super) struct Ends {
    output: File,
    report: File,
    /// `None` after the end.
    go: Option<OwnedFd>,
    listener: Option<OwnedFd>,
}

/// Pipes between parent and children, and a socket if a listener is to come back.
pub(super) fn channels(listener: bool) -> io::Result<(Ends, Descriptors)> {
    let pipe = || {
        let (reader, writer) = io::pipe()?;
        Ok::<_, io::Error>((above_streams(reader.into())?, above_streams(writer.into())?))
    };
    let ((output, output_writer), (report, report_writer), (go_reader, go)) = (pipe()?, pipe()?, pipe()?);
    for end in [&output, &report] {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    let (ours, theirs) = if listener {
        let (ours, theirs) = UnixStream::pair()?;
        (Some(above_streams(ours.into())?), Some(above_streams(theirs.into())?))
    } else {
        (None, None)
    };
    let null = above_streams(File::open("/dev/null")?.into())?;
    let ends = Ends { output: output.into(), report: report.into(), go: Some(go), listener: ours };
    let descriptors =
        Descriptors { null, output: output_writer, go: go_reader, report: report_writer, listener: theirs };
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
        let step = match plan {
            Plan { isolated: false, .. } => "create a process",
            Plan { userns: true, .. } => "create a user namespace",
            _ => "create a process namespace",
        };
        let (pid, pidfd) = child::start(plan, &descriptors).map_err(|errno| Obstacle { step, errno })?;
        let running = Running { isolated: plan.isolated, pid, pidfd, ends };
        if let Some(maps) = maps {
            maps.write(pid)?;
        }
        // Fails if the keeper has ended, which `wait` finds.
        if let Some(go) = &running.ends.go {
            let _ = rustix::io::write(go, b"g");
        }
        Ok(running)
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
        let mut buffer = vec![0; CHUNK];
        // A pipe that has ended is not polled any more; otherwise poll would return at once.
        let (mut has_output, mut has_report) = (true, true);
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            let ended = self.poll(has_output, has_report).map_err(Failure::io("wait for the command"))?;
            self.receive(listening).map_err(Failure::io("receive the listener of owners"))?;
            let read = Failure::io("read from the command");
            has_report = has_report
                && drain(
                    &mut self.ends.report,
                    &mut buffer,
                    &mut |chunk| reports.extend_from_slice(chunk),
                    ended,
                )
                .map_err(&read)?;
            has_output =
                has_output && drain(&mut self.ends.output, &mut buffer, output, ended).map_err(&read)?;
            if ended {
                return Ok(reports);
            }
        }
    }

    /// Waits for something to read, for a while. Whether the keeper has ended: all that was written is in the pipes.
    fn poll(&self, has_output: bool, has_report: bool) -> io::Result<bool> {
        let mut polled = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        if has_output {
            polled.push(PollFd::new(&self.ends.output, PollFlags::IN));
        }
        if has_report {
            polled.push(PollFd::new(&self.ends.report, PollFlags::IN));
        }
        if let Some(listener) = &self.ends.listener {
            polled.push(PollFd::new(listener, PollFlags::IN));
        }
        match poll(&mut polled, Some(&LOOK)) {
            Ok(_) | Err(Errno::INTR) => Ok(!polled[0].revents().is_empty()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes the listener as soon as it is there.
    fn receive(&mut self, listening: &mut dyn FnMut(OwnedFd) -> io::Result<()>) -> io::Result<()> {
        let Some(socket) = &self.ends.listener else { return Ok(()) };
        let received = match calls::receive(socket) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            result => result?,
        };
        self.ends.listener = None;
        received.map_or(Ok(()), listening)
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

/// Reads what a pipe has; all of it, if nobody writes any more. False at its end.
fn drain(pipe: &mut File, buffer: &mut [u8], take: &mut dyn FnMut(&[u8]), all: bool) -> io::Result<bool> {
    loop {
        match pipe.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => take(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !all {
            return Ok(true);
        }
    }
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
                Report::Exited { code } => ended.exit = Some(Exit::Code(code)),
                Report::Killed { signal } => ended.exit = Some(Exit::Signal(signal)),
                failure => ended.failure = Some(failure),
            }
        }
        ended
    }

    /// How the command ended. A failure before exec looks like an exit to the keeper.
    pub(super) fn exit(&self, plan: &Plan) -> Result<Exit, Failure> {
        match self.failure {
            None => self.exit.ok_or(Failure::Killed),
            Some(Report::Exec { candidate, errno, exists }) => {
                let candidates = plan.program.iter().flat_map(|program| &program.candidates);
                let program = candidates.skip(candidate as usize).map(|program| program.to_bytes()).next();
                let program = PathBuf::from(OsStr::from_bytes(program.unwrap_or_default()));
                Err(Failure::Exec { program, errno, exists })
            }
            Some(Report::Step { index, errno }) => {
                let step = plan.steps.get(index as usize);
                let (name, about) = step.map_or(("set up the command", ""), |step| (step.name, &step.about));
                Err(Failure::Step { step: name, about: about.to_owned(), errno })
            }
            Some(Report::Keeper { errno }) => {
                let step = "create the namespaces of the command";
                Err(Failure::Step { step, about: String::new(), errno })
            }
            Some(Report::Stub { .. } | Report::Exited { .. } | Report::Killed { .. }) => Err(Failure::Killed),
        }
    }
}
