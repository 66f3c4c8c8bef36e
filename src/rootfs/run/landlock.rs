//! Landlock's rules: which files a process may change, where nothing can be mounted read-only.
//!
//! <https://docs.kernel.org/userspace-api/landlock.html>

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{io, ptr};

use rustix::io::{Errno, Result};

/// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h.
const VERSION: u32 = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: u32 = 1;

/// Rights of linux/landlock.h: to write, to remove and to make files of every kind.
const WRITE_FILE: u64 = 1 << 1;
const REMOVE_AND_MAKE: u64 = 0b1_1111_1111 << 4;
/// To move files between directories, and, since version 3 (Linux 6.2), to truncate them.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const TRUNCATE_SINCE: i64 = 3;
/// Abstract sockets and signals stay among the processes of the rules, since version 6.
const SCOPED: u64 = 0b11;
const SCOPED_SINCE: i64 = 6;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Rules that allow changes of files only below these directories. Modes, owners and times are no changes to them.
///
/// # Errors
/// When the kernel does not have Landlock with all of these rights, or has it switched off.
pub(super) fn changes_only_below(directories: &[&Path]) -> io::Result<OwnedFd> {
    // SAFETY: with this flag, the call takes no memory.
    let version = checked(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Ruleset>(), 0_usize, VERSION)
    })?;
    if version < TRUNCATE_SINCE {
        // Files could be emptied.
        return Err(Errno::OPNOTSUPP.into());
    }
    let files = WRITE_FILE | REMOVE_AND_MAKE | REFER | TRUNCATE;
    let (scoped, size) = match version >= SCOPED_SINCE {
        true => (SCOPED, size_of::<Ruleset>()),
        false => (0, size_of::<u64>()),
    };
    let rules = Ruleset { files, network: 0, scoped };
    // SAFETY: the struct outlives the call, which creates a descriptor.
    let rules = unsafe {
        let rules = checked(libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size, 0))?;
        OwnedFd::from_raw_fd(rules as RawFd)
    };
    for directory in directories {
        let parent =
            File::options().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(directory)?;
        let rule = Beneath { allowed: files, parent: parent.as_raw_fd() };
        // SAFETY: the struct and the descriptors outlive the call.
        checked(unsafe {
            let (rules, rule) = (rules.as_raw_fd(), &raw const rule);
            libc::syscall(libc::SYS_landlock_add_rule, rules, PATH_BENEATH, rule, 0)
        })?;
    }
    Ok(rules)
}

/// Has the rules hold for this process, which must have given up new privileges, and for its children.
pub(super) fn restrict(rules: RawFd) -> Result<()> {
    // SAFETY: the call takes no memory.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, 0) }).map(drop)
}

fn checked(result: i64) -> Result<i64> {
    match result {
        0.. => Ok(result),
        _ => Err(Errno::from_raw_os_error(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))),
    }
}
