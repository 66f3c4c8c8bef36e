//! The listener of a seccomp filter: calls come in, answers go out. The interface is ioctls with C structs, so this file
//! has the unsafe code for it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes};

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` of linux/seccomp.h (Linux 6.6): the scheduler runs the recorder on the caller's
/// processor, because the caller waits for it.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// A system call whose process waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    id: u64,
    /// The thread that made the call.
    pub(super) thread: u32,
    pub(super) arch: u32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

/// The answer to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The call was not made; it returns 0.
    Success,
    Error(rustix::io::Errno),
    /// The kernel makes the call.
    Continue,
}

/// The listener, with buffers as large as the running kernel's structs, which grow with its versions.
pub(super) struct Listener {
    fd: OwnedFd,
    /// Words, so that the structs are aligned.
    notification: Vec<u64>,
    response: Vec<u64>,
}

impl Listener {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Listener> {
        let mut sizes = seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: the kernel writes one `seccomp_notif_sizes`.
        let code =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
        check(code as i32)?;
        // Not known before Linux 6.6; without it the answers only take longer.
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, SYNC_WAKE_UP) };
        let words = |theirs: u16, ours: usize| vec![0; usize::from(theirs).max(ours).div_ceil(8)];
        Ok(Listener {
            notification: words(sizes.seccomp_notif, size_of::<seccomp_notif>()),
            response: words(sizes.seccomp_notif_resp, size_of::<seccomp_notif_resp>()),
            fd,
        })
    }

    /// Waits for a call. `None`: the process was killed in the meantime.
    pub(super) fn receive(&mut self) -> io::Result<Option<Notification>> {
        // The kernel wants the buffer zeroed.
        self.notification.fill(0);
        let buffer = self.notification.as_mut_ptr();
        // SAFETY: the buffer has the size of the kernel's `seccomp_notif`.
        let code = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, buffer) };
        match check(code) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {
                return Ok(None);
            }
            result => result?,
        }
        // SAFETY: the buffer is aligned, large enough, and the kernel has filled it; all its fields are integers.
        let got = unsafe { &*buffer.cast::<seccomp_notif>() };
        let data = &got.data;
        let (number, args) = (data.nr as u32, data.args);
        Ok(Some(Notification { id: got.id, thread: got.pid, arch: data.arch, number, args }))
    }

    /// Whether the call still waits. If so, what was opened below /proc by the thread's number before was the thread's.
    pub(super) fn is_waiting(&self, notification: &Notification) -> bool {
        let id = &raw const notification.id;
        // SAFETY: the kernel reads one u64.
        unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, id) == 0 }
    }

    pub(super) fn answer(&mut self, notification: &Notification, answer: Answer) -> io::Result<()> {
        let (error, flags) = match answer {
            Answer::Success => (0, 0),
            Answer::Error(errno) => (-errno.raw_os_error(), 0),
            Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        };
        let response = seccomp_notif_resp { id: notification.id, val: 0, error, flags };
        self.response.fill(0);
        let buffer = self.response.as_mut_ptr();
        // SAFETY: the buffer is aligned and at least as large as the struct and as the kernel's own.
        let code = unsafe {
            buffer.cast::<seccomp_notif_resp>().write(response);
            libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, buffer)
        };
        match check(code) {
            // The process was killed.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn check(code: i32) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
