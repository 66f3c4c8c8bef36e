//! Work on files with the ids of a command's namespace, in a child process: the files of subordinate ids cannot be read,
//! made or removed otherwise.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::calls;
use super::ids::{Ids, Maps};

/// A result on its way through the pipe.
#[derive(Serialize, Deserialize)]
enum Answer<T> {
    Done(T),
    Failed { errno: Option<i32>, message: String },
}

/// Calls `work` as root of a namespace that has `ids`. With real ids, and where there is
/// no namespace, that is here. Otherwise it is in a child process,
/// a copy of this one with a single thread: `work` can allocate, but must not start threads, print, or wait for another
/// thread of this process. Of the descriptors, it has the standard streams and those to `keep`. The child ends with the
/// thread that called this.
///
/// # Errors
/// Those of `work`: the number of an error of the system is kept, of others the text. When the child cannot be started,
/// or ends without a result.
pub(crate) fn within<T: Serialize + DeserializeOwned>(
    ids: &Ids,
    keep: &[BorrowedFd<'_>],
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if matches!(ids, Ids::Real | Ids::Unmapped) {
        return work();
    }
    let maps = ids.maps(0, 0)?;
    let (ours, theirs) = UnixStream::pair()?;
    let forked = calls::without_signals(|| match calls::fork()? {
        Some(pid) => Ok(Child(pid)),
        None => {
            // Another thread's end of a pipe would keep it open.
            calls::close_others(keep.iter().chain([&theirs.as_fd()]).map(|fd| fd.as_raw_fd()).collect());
            child(theirs, work)
        }
    });
    let child = forked.map_err(|errno| refused("fork", errno))?;
    let answer = talk(&child, &maps, ours)?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Failed { errno: Some(errno), .. }) => Err(io::Error::from_raw_os_error(errno)),
        Ok(Answer::Failed { message, .. }) => Err(io::Error::other(message)),
        Err(_) => Err(io::Error::other("the process in the user namespace ended without a result")),
    }
}

/// The child; its end kills it.
struct Child(Pid);

impl Drop for Child {
    fn drop(&mut self) {
        // The number is of no other process, because nobody has waited for this one.
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(self.0), WaitOptions::empty()));
    }
}

fn refused(step: &str, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("cannot {step}: {errno}"))
}

/// Writes the maps when the child has its namespace, and reads the answer.
fn talk(child: &Child, maps: &Maps, mut socket: UnixStream) -> io::Result<Vec<u8>> {
    let mut errno = [0; 4];
    socket
        .read_exact(&mut errno)
        .map_err(|_| refused("start a process for a user namespace", Errno::CHILD))?;
    match i32::from_ne_bytes(errno) {
        0 => {}
        errno => return Err(refused("create a user namespace", Errno::from_raw_os_error(errno))),
    }
    maps.write(child.0).map_err(|obstacle| refused(obstacle.step, obstacle.errno))?;
    socket.write_all(b"g")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The life of the child.
fn child<T: Serialize>(mut socket: UnixStream, work: impl FnOnce() -> io::Result<T>) -> ! {
    // A message of a panic would wait for a lock that another thread of the parent may have had. While this thread
    // unwinds already, the hook cannot be changed, and a second panic ends the process.
    if !std::thread::panicking() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let answer = catch_unwind(AssertUnwindSafe(|| match enter(&mut socket) {
        Ok(true) => Some(work()),
        Ok(false) => None,
        Err(errno) => Some(Err(errno.into())),
    }));
    let answer = match answer {
        // The parent is no more, or knows already.
        Ok(None) => calls::exit(1),
        Ok(Some(Ok(value))) => Answer::Done(value),
        Ok(Some(Err(error))) => Answer::Failed { errno: error.raw_os_error(), message: error.to_string() },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            Answer::Failed {
                errno: None,
                message: format!("the process in the user namespace failed: {text}"),
            }
        }
    };
    let sent = serde_json::to_vec(&answer).map_err(io::Error::from).and_then(|json| socket.write_all(&json));
    calls::exit(i32::from(sent.is_err()))
}

/// Enters a user namespace of its own. False if there is nothing to do in it.
fn enter(socket: &mut UnixStream) -> Result<bool, Errno> {
    let unshared = calls::new_user_namespace();
    let errno = unshared.map_or_else(Errno::raw_os_error, |()| 0);
    if socket.write_all(&errno.to_ne_bytes()).is_err() || errno != 0 {
        return Ok(false);
    }
    // A new user namespace resets it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if socket.read_exact(&mut [0]).is_err() {
        return Ok(false);
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(true)
}
