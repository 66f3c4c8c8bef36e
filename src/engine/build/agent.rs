//! The SSH agents of the caller, for commands: a socket of the build passes on what is said to them. An agent answers
//! its own user only, and a command may run as another.

use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::unpack::owners;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::recipe::{Access, Origin};
use crate::rootfs::{self, Way};

/// How often a thread looks whether the command has ended.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The name of the socket in its directory.
const SOCKET: &str = "agent";

/// A socket that passes on to an agent. It ends with this value.
pub(super) struct Agent {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Listens at a new socket in `dir`. Returns it with its path.
    fn start(dir: &Path, agent: PathBuf) -> io::Result<(Agent, PathBuf)> {
        // The path of a socket may have 107 bytes.
        let open = File::open(dir)?;
        let short = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
        let listener = UnixListener::bind(short)?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("ssh-agent".to_owned());
        let thread = thread.spawn(move || serve(&listener, &agent, &stopped))?;
        Ok((Agent { stop, thread: Some(thread) }, dir.join(SOCKET)))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Accepts connections until `stop` is set.
fn serve(listener: &UnixListener, agent: &Path, stop: &AtomicBool) {
    thread::scope(|scope| {
        while !stop.load(Ordering::Relaxed) {
            let mut polled = [PollFd::new(listener, PollFlags::IN)];
            if !poll(&mut polled, Some(&LOOK)).is_ok_and(|ready| ready > 0) {
                continue;
            }
            let Ok((client, _)) = listener.accept() else { continue };
            // A client that cannot be served sees its connection close.
            let Ok(server) = UnixStream::connect(agent) else { continue };
            let each = thread::Builder::new();
            let _ = each.spawn_scoped(scope, move || {
                let _ = pass_on(&client, &server, stop);
            });
        }
    });
}

/// Copies in both directions until one side closes.
fn pass_on(client: &UnixStream, server: &UnixStream, stop: &AtomicBool) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) {
        let mut polled = [PollFd::new(client, PollFlags::IN), PollFd::new(server, PollFlags::IN)];
        poll(&mut polled, Some(&LOOK))?;
        let ready = polled.map(|one| !one.revents().is_empty());
        for (is_ready, mut from, mut to) in [(ready[0], client, server), (ready[1], server, client)] {
            if is_ready {
                let read = io::Read::read(&mut from, &mut buffer)?;
                if read == 0 {
                    return to.shutdown(Shutdown::Both);
                }
                io::Write::write_all(&mut to, &buffer[..read])?;
            }
        }
    }
    Ok(())
}

/// Starts to pass on to the agent of a mount, at a socket in `dir`. Returns the socket's path; `None` if the caller has no
/// such agent and the command does not require it.
pub(super) fn start(
    session: &Session,
    origin: &Origin,
    (way, dir): (&Way, &Path),
    (id, required, access): (&str, bool, Access),
) -> Result<Option<(Agent, PathBuf)>> {
    let Some(path) = session.agents.get(id) else {
        if !required {
            return Ok(None);
        }
        let hint = format!("pass --ssh {id}, with SSH_AUTH_SOCK set, or --ssh {id}=SOCKET");
        return Err(origin.failed_at(id, format!("the SSH agent `{id}` is required"), Some(hint)));
    };
    let failed = |source| Error::Root { operation: "listen for the SSH agent".to_owned(), source };
    let (agent, socket) = Agent::start(dir, path.clone()).map_err(failed)?;
    let owner = (access.uid, access.gid);
    let give = || rootfs::set_access(&socket, access.mode, owner, owners(&way.ids));
    rootfs::within(&way.ids, &[], give).map_err(failed)?;
    Ok(Some((agent, socket)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_is_said_is_passed_on_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (own, agent) = (dir.path().join("x".repeat(150)), dir.path().join("real"));
        std::fs::create_dir(&own).unwrap();
        let real = UnixListener::bind(&agent).unwrap();
        let answering = thread::spawn(move || {
            for stream in real.incoming().take(2) {
                let mut stream = stream.unwrap();
                let mut asked = [0; 3];
                stream.read_exact(&mut asked).unwrap();
                stream.write_all(&[&asked[..], b"!"].concat()).unwrap();
            }
        });
        let (running, socket) = Agent::start(&own, agent).unwrap();
        assert!(socket.exists());
        let open = File::open(&own).unwrap();
        let short = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
        for asked in [b"one", b"two"] {
            let mut client = UnixStream::connect(&short).unwrap();
            client.write_all(asked).unwrap();
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [&asked[..], b"!"].concat()[..]);
        }
        answering.join().unwrap();
        drop(running);
        assert!(UnixStream::connect(&short).is_err());
    }
}
