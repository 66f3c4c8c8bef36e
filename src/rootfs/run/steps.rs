//! The set-up of a command as data: the parent prepares every step with its arguments, and the child, which must not
//! allocate, performs them in order.

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use rustix::fs::{self, AtFlags, CWD, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::calls;
use super::landlock;
use super::place::{self, Placing, Stubs};
use super::restriction::Restriction;

/// One step, and its name for an error message.
#[derive(Debug)]
pub(super) struct Step {
    /// What the step attempts, such as "mount the overlay".
    pub(super) name: &'static str,
    /// The file that it is about; may be empty.
    pub(super) about: String,
    pub(super) call: Call,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Call {
    /// Leaves the caller's session, and with it its terminal.
    Session,
    /// Leaves the caller's session keyring.
    Keyring,
    Hostname(Vec<u8>),
    /// Starts the loopback interface of a new network namespace.
    Loopback,
    /// Stops mounts from appearing in other namespaces.
    Private,
    Mount {
        kind: &'static CStr,
        target: CString,
        flags: MountFlags,
        data: CString,
    },
    /// Binds a file or a directory, with what is mounted below it.
    Bind {
        source: CString,
        target: CString,
    },
    Restrict {
        target: CString,
        restriction: Restriction,
    },
    /// Mounts something at a path of the image, whose links are resolved below `root`.
    Place {
        root: CString,
        placing: Placing,
    },
    MakeDirectory {
        path: CString,
        mode: u32,
    },
    /// Makes the directories that do not exist yet, the topmost first, and gives them this owner.
    MakeDirectories {
        paths: Vec<CString>,
        owner: Option<(Uid, Gid)>,
    },
    Own {
        path: CString,
        uid: Uid,
        gid: Gid,
    },
    RemoveDirectory(CString),
    Remove(CString),
    Symlink {
        to: CString,
        path: CString,
    },
    Write {
        path: CString,
        content: Vec<u8>,
        mode: u32,
    },
    /// Writes to a file of the kernel, all at once.
    Tell {
        path: CString,
        content: Vec<u8>,
    },
    ChangeDirectory(CString),
    /// Makes the working directory the root, for this process and its children.
    Chroot,
    /// Ends with the keeper. Must come after the step that sets the user.
    EndWithKeeper,
    /// Gives up all capabilities but these.
    Keep(CapabilitySet),
    /// Gives up to gain anything by exec.
    NoNewPrivileges,
    /// Makes the working directory the root, and puts the old root at `old` below it.
    EnterRoot {
        old: CString,
    },
    /// Makes the working directory the root, and detaches the old one.
    LeaveRoot,
    /// The highest capabilities that a program can get are these.
    Bound(u64),
    Groups(Vec<Gid>),
    Group(Gid),
    User(Uid),
    /// Becomes a user by a further user namespace, in which root of the present one is that user. No program may have
    /// started.
    BecomeUser {
        uid_map: Vec<u8>,
        gid_map: Vec<u8>,
    },
    /// The most of a resource that the process and its children may use.
    Limit {
        resource: Resource,
        most: u64,
    },
    /// Listens on a port of the loopback interface, and sends the socket to the parent.
    Listen {
        port: u16,
        socket: RawFd,
    },
    /// Sends the parent sockets of this network namespace that are not connected.
    Sockets {
        count: usize,
        socket: RawFd,
    },
    /// Installs a set of Landlock's rules.
    RestrictFiles {
        rules: RawFd,
    },
    /// Installs a filter of system calls, and sends its listener to the parent.
    Filter {
        filter: Vec<libc::sock_filter>,
        socket: RawFd,
    },
    /// Says so, and waits to be killed.
    #[cfg(test)]
    Wait,
}

impl Call {
    /// Performs the step. Runs in the child: allocates nothing, and takes no lock.
    pub(super) fn perform(&self, stubs: &mut Stubs<'_>) -> Result<()> {
        match self {
            Call::Session => rustix::process::setsid().map(drop),
            Call::Keyring => calls::join_new_keyring(),
            Call::Hostname(name) => rustix::system::sethostname(name),
            Call::Loopback => calls::start_loopback(),
            Call::Private => {
                rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            }
            Call::Mount { kind, target, flags, data } => {
                rustix::mount::mount(*kind, &**target, *kind, *flags, &**data)
            }
            Call::Bind { source, target } => rustix::mount::mount_bind_recursive(&**source, &**target),
            Call::Restrict { target, restriction } => calls::restrict(target, *restriction),
            Call::Place { root, placing } => place::place(root, placing, stubs),
            Call::MakeDirectory { path, mode } => make_directory(path, *mode),
            Call::MakeDirectories { paths, owner } => {
                paths.iter().try_for_each(|path| make_missing(path, *owner))
            }
            Call::Own { path, uid, gid } => {
                fs::chownat(CWD, &**path, Some(*uid), Some(*gid), AtFlags::SYMLINK_NOFOLLOW)
            }
            Call::RemoveDirectory(path) => fs::unlinkat(CWD, &**path, AtFlags::REMOVEDIR),
            Call::Remove(path) => fs::unlinkat(CWD, &**path, AtFlags::empty()),
            Call::Symlink { to, path } => fs::symlinkat(&**to, CWD, &**path),
            Call::Write { path, content, mode } => write(path, content, *mode),
            Call::Tell { path, content } => tell(path, content),
            Call::ChangeDirectory(path) => rustix::process::chdir(&**path),
            Call::Chroot => rustix::process::chroot(c"."),
            Call::EndWithKeeper => rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
            Call::Keep(most) => keep(*most),
            Call::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
            Call::EnterRoot { old } => {
                rustix::process::pivot_root(c".", &**old)?;
                rustix::process::chdir(c"/")
            }
            Call::LeaveRoot => leave_root(),
            Call::Bound(capabilities) => calls::bound(*capabilities),
            Call::Groups(groups) => rustix::thread::set_thread_groups(groups),
            Call::Group(gid) => rustix::thread::set_thread_res_gid(*gid, *gid, *gid),
            Call::User(uid) => rustix::thread::set_thread_res_uid(*uid, *uid, *uid),
            Call::BecomeUser { uid_map, gid_map } => {
                calls::new_user_namespace()?;
                // The files belong to the machine's root while the process is not dumpable. No other process is there.
                rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
                tell(c"/proc/self/setgroups", b"deny")?;
                tell(c"/proc/self/gid_map", gid_map)?;
                tell(c"/proc/self/uid_map", uid_map)?;
                rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            }
            Call::Limit { resource, most } => {
                let limit = Rlimit { current: Some(*most), maximum: Some(*most) };
                rustix::process::setrlimit(*resource, limit)
            }
            Call::Listen { port, socket } => calls::send(*socket, &calls::listen(*port)?),
            Call::Sockets { count, socket } => {
                (0..*count).try_for_each(|_| calls::send(*socket, &calls::stream_socket()?))
            }
            Call::RestrictFiles { rules } => landlock::restrict(*rules),
            Call::Filter { filter, socket } => calls::install(filter, *socket),
            #[cfg(test)]
            Call::Wait => {
                rustix::io::write(rustix::stdio::stdout(), b"waits")?;
                loop {
                    calls::pause();
                }
            }
        }
    }
}

fn keep(most: CapabilitySet) -> Result<()> {
    let has = rustix::thread::capabilities(None)?.permitted & most;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: has, permitted: has, inheritable: none };
    rustix::thread::set_capabilities(None, sets)
}

fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    fs::mkdirat(CWD, path, fs::Mode::from_raw_mode(mode))
}

fn make_missing(path: &CStr, owner: Option<(Uid, Gid)>) -> Result<()> {
    match (make_directory(path, 0o755), owner) {
        (Err(Errno::EXIST), _) => Ok(()),
        (Ok(()), Some((uid, gid))) => fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW),
        (made, _) => made,
    }
}

fn write(path: &CStr, content: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(CWD, path, flags, fs::Mode::from_raw_mode(0o600))?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = rest.get(written..).ok_or(Errno::IO)?;
    }
    fs::fchmod(&file, fs::Mode::from_raw_mode(mode))
}

fn tell(path: &CStr, content: &[u8]) -> Result<()> {
    let file = fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, fs::Mode::empty())?;
    match rustix::io::retry_on_intr(|| rustix::io::write(&file, content))? {
        written if written == content.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// The old root is mounted on the new one for a moment (pivot_root(2), "pivot_root(".", ".")").
fn leave_root() -> Result<()> {
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}
