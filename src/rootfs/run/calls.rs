//! System calls for which there is no safe function, or none that a child may use between clone and exec.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::{Errno, Result};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::CapabilitySet;

use super::restriction::Restriction;

/// Strings, and the array of pointers to them that execve takes.
#[derive(Debug)]
pub(super) struct Strings {
    array: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Strings {
    pub(super) fn new(strings: &[CString]) -> Strings {
        let strings = strings.to_vec();
        let array = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Strings { array, _strings: strings }
    }
}

fn last_error() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// The result of a call that returns a negative number when it fails.
fn checked<N: Copy + Default + PartialOrd>(result: N) -> Result<N> {
    if result < N::default() { Err(last_error()) } else { Ok(result) }
}

/// A new process with the namespaces of `flags`, and a descriptor of it. None in the child.
pub(super) fn clone_with_descriptor(flags: c_int) -> Result<Option<(Pid, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    let Some(pid) = raw_clone(flags | libc::CLONE_PIDFD, &mut pidfd)? else { return Ok(None) };
    if pidfd >= 0 {
        // SAFETY: the kernel has just created the descriptor.
        return Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })));
    }
    // Before Linux 5.2, the flag has no effect.
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    Err(Errno::NOSYS)
}

/// A new process with the namespaces of `flags`. None in the child.
pub(super) fn clone(flags: c_int) -> Result<Option<Pid>> {
    raw_clone(flags, &mut -1)
}

/// A fork with flags, for which the C library has no function. This call has all flags that are used here, so that
/// clone3, which container runtimes refuse, is not needed.
fn raw_clone(flags: c_int, pidfd: &mut c_int) -> Result<Option<Pid>> {
    let flags = (flags | libc::SIGCHLD) as c_ulong;
    let (none, pidfd) = (ptr::null_mut::<c_int>(), ptr::from_mut(pidfd));
    // SAFETY: without CLONE_VM the child has a copy of the memory, and goes on here, on a copy of this stack.
    let pid = checked(unsafe { libc::syscall(libc::SYS_clone, flags, none, pidfd, none, none) })?;
    Ok(Pid::from_raw(pid as i32))
}

/// A fork after which the child may allocate: the C library makes its locks usable. None in the child.
pub(super) fn fork() -> Result<Option<Pid>> {
    // SAFETY: the callers of this start no thread in the child, and take none of Rust's locks.
    Ok(Pid::from_raw(checked(unsafe { libc::fork() })?))
}

/// For a process with one thread.
pub(super) fn new_user_namespace() -> Result<()> {
    // SAFETY: the flag is about ids, not about memory or descriptors.
    checked(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
}

pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: ends the process, and runs no code of it.
    unsafe { libc::_exit(code) }
}

/// Closes the descriptors from `first` to `last`, of which none above `highest` is open.
pub(super) fn close(first: RawFd, last: RawFd, highest: RawFd) {
    // SAFETY: a child uses none of these, and ends without dropping the values of its parent.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
            // Before Linux 5.9.
            for number in first..=last.min(highest) {
                libc::close(number);
            }
        }
    }
}

/// Closes all descriptors but the standard streams and these.
pub(super) fn close_others(mut kept: Vec<RawFd>) {
    kept.sort_unstable();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let highest = limit.and_then(|limit| RawFd::try_from(limit).ok()).unwrap_or(1 << 20).min(1 << 20);
    let mut first = 3;
    for fd in kept.into_iter().filter(|fd| *fd > 2) {
        if first < fd {
            close(first, fd - 1, highest);
        }
        first = fd + 1;
    }
    close(first, RawFd::MAX, highest);
}

/// Replaces a standard stream.
pub(super) fn replace(stream: RawFd, with: &OwnedFd) -> Result<()> {
    // SAFETY: nothing in a child uses its standard streams before exec.
    checked(unsafe { libc::dup2(with.as_raw_fd(), stream) }).map(drop)
}

/// Returns only if that fails.
pub(super) fn execute(program: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: both arrays end with null, and live as long as their strings.
    unsafe { libc::execve(program.as_ptr(), arguments.array.as_ptr(), environment.array.as_ptr()) };
    last_error()
}

/// Runs `work` while this thread receives no signal. A child that starts meanwhile never runs a handler, whose pipes it
/// would share with its parent.
pub(super) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are initialised by the calls that they are passed to.
    unsafe {
        let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let result = work();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        result
    }
}

/// The parent's handlers go with exec, but what it ignores would stay ignored: Rust ignores SIGPIPE, for one.
pub(super) fn reset_signals() {
    // The kernel's own struct, with room for that of any machine. The C library refuses signals that it uses itself,
    // which the parent's parent may have ignored.
    const DEFAULT: [u64; 4] = [0; 4];
    // SAFETY: an all-zero action is the default one, with an empty mask of 8 bytes.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), ptr::null_mut::<u64>(), 8);
        }
        let mut none = mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// Where a filter refuses the call, it also refuses the command to use the caller's keyring.
pub(super) fn join_new_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: without a name, the call takes no memory.
    match checked(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, ptr::null::<c_char>()) }) {
        Ok(_) | Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub(super) fn start_loopback() -> Result<()> {
    // SAFETY: an all-zero request is valid, and the socket lives until the end of the function.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let socket = OwnedFd::from_raw_fd(socket);
        let mut request: libc::ifreq = mem::zeroed();
        request.ifr_name[0] = b'l' as c_char;
        request.ifr_name[1] = b'o' as c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        checked(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request)).map(drop)
    }
}

/// A socket that listens on a port of the loopback interface.
pub(super) fn listen(port: u16) -> Result<OwnedFd> {
    // SAFETY: the address outlives the calls, and the kernel creates the descriptor.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        let socket = OwnedFd::from_raw_fd(socket);
        let mut address: libc::sockaddr_in = mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
        let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        checked(libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), size))?;
        checked(libc::listen(socket.as_raw_fd(), 128))?;
        Ok(socket)
    }
}

/// A socket that is not connected. It stays in the network namespace of the process that made it.
pub(super) fn stream_socket() -> Result<OwnedFd> {
    // SAFETY: the kernel creates the descriptor.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(socket))
    }
}

/// Where the arguments of this process are, as `/proc/self/stat` has it (proc_pid_stat(5)): what other processes read as
/// its command line.
pub(super) fn arguments() -> Option<(usize, usize)> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may have spaces. The fields after it are counted from 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<usize>().ok();
    let (start, end) = (field(48)?, field(49)?);
    (start != 0 && start < end).then_some((start, end - start))
}

/// Erases the arguments of a child, which has a copy of its parent's.
pub(super) fn erase((start, length): (usize, usize)) {
    // SAFETY: the kernel has put the arguments there, on the stack. Nothing in a child reads them before exec.
    unsafe { ptr::write_bytes(ptr::with_exposed_provenance_mut::<u8>(start), 0, length) };
}

/// Leaves no program a capability that is not in `most`. Exec gives root what is left, and others nothing.
pub(super) fn bound(most: u64) -> Result<()> {
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        match rustix::thread::capability_is_in_bounding_set(one) {
            Ok(true) if most & (1 << bit) == 0 => rustix::thread::remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, sets)
}

/// Forbids writes or devices on a mount and those below it. Before Linux 5.12, on this mount alone.
pub(super) fn restrict(target: &CStr, restriction: Restriction) -> Result<()> {
    if restriction == Restriction::default() {
        return Ok(());
    }
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    const AT_RECURSIVE: c_int = 0x8000;
    let depth = if restriction.alone { 0 } else { AT_RECURSIVE };
    let flags = if restriction.writes { libc::MS_RDONLY } else { 0 }
        | if restriction.devices { libc::MS_NODEV } else { 0 };
    // The new attributes have the values of the old flags.
    let attributes = Attributes { set: flags, clear: 0, propagation: 0, userns: 0 };
    // SAFETY: the path and the attributes outlive the calls.
    unsafe {
        let size = size_of::<Attributes>();
        if libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, target.as_ptr(), depth, &attributes, size)
            == 0
        {
            return Ok(());
        }
        match last_error() {
            Errno::NOSYS | Errno::PERM => {}
            errno => return Err(errno),
        }
        let mut present: libc::statvfs = mem::zeroed();
        checked(libc::statvfs(target.as_ptr(), &mut present))?;
        // Flags that the caller's namespace has locked must be repeated.
        let locked = present.f_flag & (libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
        let flags = libc::MS_REMOUNT | libc::MS_BIND | flags | locked;
        checked(libc::mount(ptr::null(), target.as_ptr(), ptr::null(), flags, ptr::null())).map(drop)
    }
}

/// Installs a filter, and sends its listener over `socket`.
pub(super) fn install(filter: &[libc::sock_filter], socket: RawFd) -> Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // A call whose answer is being prepared is not repeated because of a signal (Linux 5.19).
    let patient = flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the kernel copies the filter, and creates the descriptor.
    unsafe {
        let set = |flags: libc::c_ulong| {
            checked(libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program))
        };
        let listener = match set(patient) {
            Err(Errno::INVAL) => set(flags)?,
            result => result?,
        };
        send(socket, &OwnedFd::from_raw_fd(listener as RawFd))
    }
}

/// Room for one descriptor in a control message, aligned as the header of the message is.
type Control = [u64; 4];

/// Sends a descriptor, with one byte.
pub(super) fn send(socket: RawFd, descriptor: &OwnedFd) -> Result<()> {
    with_message(|message| {
        // SAFETY: the control buffer has room for the header and one descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
            checked(libc::sendmsg(socket, message, libc::MSG_NOSIGNAL)).map(drop)
        }
    })
}

/// Receives a descriptor. None if there is none, and none can come any more.
pub(super) fn receive(socket: &OwnedFd) -> Result<Option<OwnedFd>> {
    with_message(|message| {
        // SAFETY: the kernel fills the buffers of the message, and a descriptor that it passes belongs to this process.
        unsafe {
            checked(libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT))?;
            let header = libc::CMSG_FIRSTHDR(message);
            if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
                return Ok(None);
            }
            let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            Ok(Some(OwnedFd::from_raw_fd(descriptor)))
        }
    })
}

fn with_message<T>(work: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut byte = [0u8];
    let mut control: Control = [0; 4];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: an all-zero message is valid, and all that it points to lives until the end of this function.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        work(&mut message)
    }
}

/// Waits for a signal.
#[cfg(test)]
pub(super) fn pause() {
    // SAFETY: takes no memory.
    unsafe { libc::pause() };
}
