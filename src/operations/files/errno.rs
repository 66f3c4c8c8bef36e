//! The errors of system calls.

use std::fmt;

/// Why a system call fails.
///
/// <https://man7.org/linux/man-pages/man3/errno.3.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operations) enum Errno {
    NoEntry,
    NotDirectory,
    IsDirectory,
    Exists,
    NotEmpty,
    Loop,
    /// Permission bits forbid it.
    Access,
    /// Only the owner or root may do it.
    Permission,
    Invalid,
    NameTooLong,
    Busy,
    ReadOnly,
    CrossDevice,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Errno::NoEntry => "No such file or directory",
            Errno::NotDirectory => "Not a directory",
            Errno::IsDirectory => "Is a directory",
            Errno::Exists => "File exists",
            Errno::NotEmpty => "Directory not empty",
            Errno::Loop => "Too many levels of symbolic links",
            Errno::Access => "Permission denied",
            Errno::Permission => "Operation not permitted",
            Errno::Invalid => "Invalid argument",
            Errno::NameTooLong => "File name too long",
            Errno::Busy => "Device or resource busy",
            Errno::ReadOnly => "Read-only file system",
            Errno::CrossDevice => "Invalid cross-device link",
        })
    }
}
