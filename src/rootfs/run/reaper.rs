//! The keeper of a command that has no namespaces of its own: it ends what the command leaves.
//!
//! No namespace ends these processes with the first one. Instead the keeper becomes the parent of all processes that
//! lose theirs, so that none escapes it by a double fork or a session of its own. It does not end with lbuild: it
//! notices the end of a pipe that only lbuild holds, and then ends the command and all of its processes. Only if the
//! keeper is killed as well does something stay; see [`leftovers`](super::leftovers). Nothing here allocates.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result, retry_on_intr};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// How often the keeper looks for processes without parents that have ended.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// The numbers of a process's children, each with a space after it.
const CHILDREN: &CStr = c"/proc/thread-self/children";

/// Makes this process the parent of orphans, and keeps signals away from it that mean lbuild or a terminal's programs.
pub(super) fn adopt_orphans() -> Result<()> {
    // `killall lbuild` ends every process of that name.
    rustix::thread::set_name(c"command-keeper")?;
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// Waits for the command. `None`: lbuild has ended, or wants the command to end.
pub(super) fn wait(pid: Pid, pidfd: &OwnedFd, go: &OwnedFd) -> Result<Option<WaitStatus>> {
    loop {
        // What is written to the pipe is for process 1; only its end is for the keeper.
        let mut polled = [PollFd::new(pidfd, PollFlags::IN), PollFd::new(go, PollFlags::empty())];
        retry_on_intr(|| poll(&mut polled, Some(&LOOK)))?;
        // Not in the condition of the loop: an orphan may end at any time before the command.
        while let Some((ended, status)) = retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG))? {
            if ended == pid {
                return Ok(Some(status));
            }
        }
        if !polled[1].revents().is_empty() {
            return Ok(None);
        }
    }
}

/// Kills all children, and those that they leave to this process.
pub(super) fn end_children() -> Result<()> {
    loop {
        kill_children()?;
        // One of them ends now, and its children may become this process's.
        match retry_on_intr(|| rustix::process::wait(WaitOptions::empty())) {
            Err(Errno::CHILD) => return Ok(()),
            result => result?,
        };
    }
}

/// Their numbers are theirs until this process has waited for them.
fn kill_children() -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, CHILDREN, flags, Mode::empty())?;
    let mut buffer = [0; 4096];
    let mut number = 0;
    loop {
        let length = retry_on_intr(|| rustix::io::read(&file, &mut buffer))?;
        if length == 0 {
            return Ok(());
        }
        for byte in &buffer[..length] {
            if byte.is_ascii_digit() {
                number = number * 10 + i32::from(byte - b'0');
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}
