//! A process in a user namespace with one id, with the filter, and a recorder for it.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg};
use rustix::process::{PidfdFlags, pidfd_open};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::rootfs::run::command::User;
use crate::rootfs::run::owners::{filter, record};

const NOBODY: u32 = 65534;
const AGAIN: &str = "LBUILD_TEST_AS_NOBODY";

/// Runs a test as it is, and if that is as root, as nobody too.
pub(super) fn as_root_and_as_nobody(name: &str, test: impl Fn()) {
    test();
    if rustix::process::geteuid().is_root() && std::env::var_os(AGAIN).is_none() {
        // The link works for nobody even if the path does not.
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", "--nocapture", &format!("{}::{name}", module())]).env(AGAIN, "");
        command.uid(NOBODY).gid(NOBODY).current_dir("/").env("TMPDIR", "/tmp");
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("1 passed"), "as nobody:\n{out}{err}");
    }
}

/// The path of the tests' module, without the crate, as the test program's filter has it.
fn module() -> &'static str {
    module_path!().split_once("::").unwrap().1.strip_suffix("::rig").unwrap()
}

/// A root for the process.
pub(super) struct Root {
    pub(super) dir: tempfile::TempDir,
    overlay: bool,
    pub(super) user: User,
}

impl Root {
    /// A root with `lower` below it; `fill` makes its files.
    pub(super) fn new(overlay: bool, fill: impl FnOnce(&Path)) -> Root {
        let dir = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fill(&dir.path().join("lower"));
        Root { dir, overlay, user: User { uid: 0, gid: 0, groups: Vec::new() } }
    }

    /// Where a file that the process has changed lies.
    pub(super) fn changed(&self, path: &str) -> PathBuf {
        self.dir.path().join(if self.overlay { "upper" } else { "lower" }).join(path)
    }

    /// The recorded owner of a changed file; empty without one.
    pub(super) fn owner(&self, path: &str) -> String {
        let mut text = [0; 64];
        let found = rustix::fs::lgetxattr(self.changed(path), super::XATTR, &mut text);
        found.map_or(String::new(), |length| String::from_utf8_lossy(&text[..length]).into_owned())
    }

    /// Runs `work` in a forked process as the root's user, and returns its result and what went wrong.
    pub(super) fn run(&self, work: impl FnOnce() -> String) -> String {
        let (mut here, there) = UnixStream::pair().unwrap();
        // SAFETY: the child leaves by `_exit`. It allocates, which the C library's fork allows.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            drop(here);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.inside(&there, work)));
            unsafe { libc::_exit(i32::from(result.is_err())) };
        }
        drop(there);
        let pidfd = pidfd_open(rustix::process::Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let listener = receive(&here);
        let user = self.user.clone();
        let mut output = String::new();
        std::thread::scope(|scope| {
            let recorder = scope.spawn(|| record(listener, pidfd.as_fd(), &user));
            here.write_all(b"!").unwrap();
            here.read_to_string(&mut output).unwrap();
            recorder.join().unwrap().unwrap();
        });
        let mut status = 0;
        unsafe { libc::waitpid(pid, &mut status, 0) };
        assert_eq!(status, 0, "{output}");
        output
    }

    fn inside(&self, socket: &UnixStream, work: impl FnOnce() -> String) {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).unwrap() };
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/gid_map", format!("{} {} 1", self.user.gid, gid.as_raw())).unwrap();
        fs::write("/proc/self/uid_map", format!("{} {} 1", self.user.uid, uid.as_raw())).unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let path = |name: &str| self.dir.path().join(name);
        if self.overlay {
            let (lower, upper, work) = (path("lower"), path("upper"), path("work"));
            let options = [lower, upper, work].map(|path| path.display().to_string());
            let options =
                format!("lowerdir={},upperdir={},workdir={},userxattr", options[0], options[1], options[2]);
            let options = std::ffi::CString::new(options).unwrap();
            mount("overlay", path("merged"), "overlay", MountFlags::empty(), Some(&*options)).unwrap();
        } else {
            mount(path("lower"), path("merged"), "", MountFlags::BIND | MountFlags::REC, None).unwrap();
        }
        std::env::set_current_dir(path("merged")).unwrap();
        rustix::process::pivot_root(".", ".").unwrap();
        unmount(".", UnmountFlags::DETACH).unwrap();
        send(socket, install(&filter(self.user.uid == 0)));
        let mut go = [0];
        (&mut &*socket).read_exact(&mut go).unwrap();
        if self.user.uid != 0 {
            // As exec does for such a user.
            rustix::thread::set_capabilities(
                None,
                rustix::thread::CapabilitySets {
                    effective: rustix::thread::CapabilitySet::empty(),
                    permitted: rustix::thread::CapabilitySet::empty(),
                    inheritable: rustix::thread::CapabilitySet::empty(),
                },
            )
            .unwrap();
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        (&mut &*socket).write_all(result.unwrap_or("panic".to_owned()).as_bytes()).unwrap();
    }
}

fn install(program: &[libc::sock_filter]) -> OwnedFd {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program outlives the call, which returns a descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as i32)
    }
}

fn send(socket: &UnixStream, fd: OwnedFd) {
    let mut space = [MaybeUninit::uninit(); 64];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(socket, &[IoSlice::new(b"!")], &mut ancillary, SendFlags::empty()).unwrap();
}

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); 64];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
    assert_eq!(got.unwrap().bytes, 1, "the process ended early");
    let message = ancillary.drain().next();
    let Some(RecvAncillaryMessage::ScmRights(mut fds)) = message else { panic!("no descriptor") };
    fds.next().unwrap()
}
