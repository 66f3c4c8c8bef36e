//! The loop that answers the calls of a command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::acl;
use super::calls::{Request, Target, request};
use super::process::Process;
use super::record::Recorded;
use crate::rootfs::run::command::User;
use crate::rootfs::run::listener::{Answer, Listener, Notification};

/// The longest name of an attribute, with its terminating zero (`XATTR_NAME_MAX`).
const MAX_NAME: usize = 256;

/// Answers the calls that the [filter](super::filter()) passes on, until all processes have ended: the listener then
/// hangs up. `end` becoming readable ends it too. Linux before 5.8 does not hang up, and a pidfd of the command serves,
/// because all other processes of its namespace end before it.
///
/// `user` is the only user of the namespace, under its number inside.
///
/// # Errors
/// When the listener fails. The command's calls then fail as well, with ENOSYS.
pub(crate) fn record(listener: OwnedFd, end: BorrowedFd<'_>, user: &User) -> io::Result<()> {
    let mut listener = Listener::new(listener)?;
    while wait(listener.as_fd(), end)? {
        let Some(notification) = listener.receive()? else { continue };
        if let Some(answer) = answer(&listener, &notification, user) {
            listener.answer(&notification, answer)?;
        }
    }
    Ok(())
}

/// Waits for a call; false at the end.
fn wait(listener: BorrowedFd<'_>, end: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds =
        [PollFd::from_borrowed_fd(listener, PollFlags::IN), PollFd::from_borrowed_fd(end, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        return Ok(fds[0].revents().contains(PollFlags::IN));
    }
}

/// The answer to a call. `None`: the caller was killed.
fn answer(listener: &Listener, notification: &Notification, user: &User) -> Option<Answer> {
    let Some(request) = request(notification.arch, notification.number, &notification.args) else {
        return Some(Answer::Continue);
    };
    let Ok(process) = Process::open(notification.thread) else {
        return listener.is_waiting(notification).then_some(Answer::Error(Errno::PERM));
    };
    // The memory is now that of the caller, if it still waits.
    if !listener.is_waiting(notification) {
        return None;
    }
    let call = Call { listener, notification, process: &process, user };
    let answer = match request {
        Request::Invalid => Err(Errno::INVAL),
        Request::Chown { target, uid, gid } => call.chown(target, uid, gid),
        Request::Setxattr { target, name, value, size } => {
            call.set_attribute(target, name, || Ok((value, size)))
        }
        Request::Setxattrat { target, name, arguments } => {
            call.set_attribute(target, name, || call.attribute_arguments(arguments))
        }
    };
    Some(answer.unwrap_or_else(Answer::Error))
}

struct Call<'c> {
    listener: &'c Listener,
    notification: &'c Notification,
    process: &'c Process,
    user: &'c User,
}

impl Call<'_> {
    fn chown(&self, target: Target, uid: Option<u32>, gid: Option<u32>) -> Result<Answer, Errno> {
        self.file(target)?.chown(uid, gid, self.user)?;
        Ok(Answer::Success)
    }

    fn file(&self, target: Target) -> Result<Recorded, Errno> {
        let file = self.process.file(target)?;
        // The number may be another process's by now, whose file must not be touched.
        if self.listener.is_waiting(self.notification) { Recorded::new(file) } else { Err(Errno::SRCH) }
    }

    /// An ACL that the kernel would refuse only changes the mode. All other attributes are the kernel's.
    fn set_attribute(
        &self,
        target: Target,
        name: u64,
        value: impl FnOnce() -> Result<(u64, u64), Errno>,
    ) -> Result<Answer, Errno> {
        let name = self.process.string(name, MAX_NAME, Errno::RANGE);
        let Some(kind) = name.ok().filter(|name| [acl::ACCESS, acl::DEFAULT].contains(&&name[..])) else {
            return Ok(Answer::Continue);
        };
        let (address, size) = value()?;
        if size > acl::MAX_SIZE {
            return Ok(Answer::Continue);
        }
        let value = self.process.bytes(address, size as usize)?;
        if !acl::names_others(&value, self.user.uid, self.user.gid) {
            return Ok(Answer::Continue);
        }
        let file = self.file(target)?;
        if kind == acl::ACCESS {
            file.access_acl(&value)?;
        }
        Ok(Answer::Success)
    }

    /// `struct xattr_args` of linux/xattr.h: an address, a size and flags.
    fn attribute_arguments(&self, address: u64) -> Result<(u64, u64), Errno> {
        let bytes = self.process.bytes(address, 16)?;
        let (value, rest) = bytes.split_first_chunk::<8>().ok_or(Errno::FAULT)?;
        let (size, _) = rest.split_first_chunk::<4>().ok_or(Errno::FAULT)?;
        Ok((u64::from_ne_bytes(*value), u64::from(u32::from_ne_bytes(*size))))
    }
}
