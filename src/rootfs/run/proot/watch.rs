//! Watches the command under proot, which itself tells too little: it waits until the last process has ended, a daemon
//! too, and returns the status of that one.
//!
//! ```text
//!  keeper ── proot ── command ── …
//! ```

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::filter::{Told, told};
use crate::rootfs::run::listener::{Answer, Listener, Notification};

const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// How long proot may take to end by itself after the command.
const GRACE: Duration = Duration::from_millis(200);

/// What is known of the command.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The number of the command.
    pub(super) command: Option<u32>,
    /// The status with which it has ended, unless by a signal.
    pub(super) code: Option<i32>,
}

struct Watch<'w> {
    keeper: u32,
    /// Is told the number of proot.
    note: &'w dyn Fn(u32) -> io::Result<()>,
    watched: Watched,
    /// A descriptor of the command.
    process: Option<OwnedFd>,
    ended: Option<Instant>,
}

/// Answers the listener of the filter until all processes have ended. Sets `done` when the command has ended and proot
/// has not, because something else goes on, or when the caller sets `stop`.
///
/// `note` is told the number of proot as soon as it is known.
///
/// # Errors
/// When the listener fails, or `note`.
pub(super) fn watch(
    listener: OwnedFd,
    keeper: u32,
    note: &dyn Fn(u32) -> io::Result<()>,
    stop: &AtomicBool,
    done: &AtomicBool,
) -> io::Result<Watched> {
    let mut listener = Listener::new(listener)?;
    let mut watch = Watch { keeper, note, watched: Watched::default(), process: None, ended: None };
    loop {
        let revents = {
            let mut polled = [PollFd::new(&listener, PollFlags::IN)];
            match poll(&mut polled, Some(&LOOK)) {
                Ok(_) | Err(Errno::INTR) => polled[0].revents(),
                Err(errno) => return Err(errno.into()),
            }
        };
        if revents.contains(PollFlags::IN) {
            if let Some(notification) = listener.receive()? {
                watch.look_at(&notification)?;
                listener.answer(&notification, Answer::Continue)?;
            }
        } else if !revents.is_empty() {
            return Ok(watch.watched);
        }
        if watch.is_over()? || stop.load(Ordering::Relaxed) {
            done.store(true, Ordering::Relaxed);
        }
    }
}

impl Watch<'_> {
    /// Looks at a process that makes a call. It waits for the answer, so that what /proc says is about it.
    fn look_at(&mut self, notification: &Notification) -> io::Result<()> {
        let Some(call) = told(notification.arch, notification.number) else { return Ok(()) };
        let Some((process, parent)) = process_and_parent(notification.thread) else { return Ok(()) };
        if self.watched.command.is_none() && self.is_proot(parent) {
            self.found(parent, process)?;
        }
        // A thread's end is the process's if no other is left; a call for the process comes later then.
        let ends = match call {
            Told::ProcessEnds => true,
            Told::ThreadEnds => notification.thread == process,
            Told::Signals => false,
        };
        if self.watched.command == Some(process) && ends {
            self.watched.code = Some(notification.args[0] as i32 & 0xff);
        }
        Ok(())
    }

    fn is_proot(&self, process: u32) -> bool {
        process_and_parent(process).is_some_and(|(_, parent)| parent == self.keeper)
    }

    fn found(&mut self, proot: u32, command: u32) -> io::Result<()> {
        self.watched.command = Some(command);
        let pid = i32::try_from(command).ok().and_then(Pid::from_raw);
        self.process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        (self.note)(proot)
    }

    /// Whether proot had the time to end after the command.
    fn is_over(&mut self) -> io::Result<bool> {
        if self.watched.command.is_none() {
            // In case that the command makes none of these calls. It is the first child that proot has.
            let proot = children(self.keeper).first().copied();
            if let Some((proot, command)) = proot.and_then(|proot| Some((proot, *children(proot).first()?))) {
                self.found(proot, command)?;
            }
        }
        let Some(process) = &self.process else { return Ok(false) };
        if self.ended.is_none() && ends(process.as_fd()) {
            self.ended = Some(Instant::now());
        }
        Ok(self.ended.is_some_and(|ended| ended.elapsed() > GRACE))
    }
}

fn ends(process: std::os::fd::BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The process of a thread, and its parent.
fn process_and_parent(thread: u32) -> Option<(u32, u32)> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("Tgid:")?, field("PPid:")?))
}

fn children(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// The signal in proot's message about the end of a process: `pid 17: terminated with signal 9`.
pub(super) fn signal(output: &[u8], command: Option<u32>) -> Option<i32> {
    let text = String::from_utf8_lossy(output);
    let before = command.map_or(String::new(), |command| format!("pid {command}"));
    // Later versions number the processes themselves: `vpid 1`.
    [&*before, "vpid 1"].iter().find_map(|before| {
        let (_, after) = text.rsplit_once(&format!("{before}: terminated with signal "))?;
        let end = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
        after[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_the_command() {
        let text = b"proot info: pid 12: terminated with signal 9\nx\nproot info: pid 7: terminated with signal 11\n";
        assert_eq!(signal(text, Some(12)), Some(9));
        assert_eq!(signal(text, Some(7)), Some(11));
        assert_eq!(signal(text, Some(8)), None);
        assert_eq!(signal(text, None), Some(11));
        assert_eq!(signal(b"proot info: vpid 1: terminated with signal 15", Some(4)), Some(15));
    }
}
