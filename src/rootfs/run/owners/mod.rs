//! Keeps owners where only one id is mapped: a command may chown to any id, and the answer is success.
//!
//! In a user namespace with one id, the kernel refuses every other owner (EINVAL). A seccomp filter passes the calls of
//! the chown family to a listener instead. A thread of lbuild outside of the namespace reads the call's arguments,
//! opens the file as the calling process would, and records the owner in the extended attribute [`XATTR`] of the file.
//! The attribute follows renames, hard links, the copy-up of an overlay, and `cp -a`. The calls that change a process's
//! own ids succeed without an effect, because package managers and `su` stop when they fail.
//!
//! The thread must be outside of the namespaces: where /proc is masked, a process inside sees numbers of processes that
//! are not those of its own namespace, and it would be a copy of lbuild's memory among the command's processes.
//!
//! This is not a security boundary. A process can change its arguments after they have been read; it could have made
//! the other call in the first place.

mod acl;
mod calls;
mod filter;
mod process;
mod record;
mod recorder;

pub(crate) use filter::filter;
#[cfg(test)]
pub(crate) use record::XATTR;
pub(crate) use record::supported;
pub(crate) use recorder::record;

#[cfg(test)]
mod tests;
