//! A model of the files of an image, which commands change as system calls would.
//!
//! * [`load`]: the layers below. [`mount`]: files that are there only while a line runs.
//! * [`walk`]: paths and links.
//! * [`calls`]: the system calls.
//! * [`difference`]: what the new layer must have.

mod calls;
mod data;
mod difference;
mod errno;
mod inode;
mod load;
mod mount;
mod walk;

pub(in crate::operations) use calls::UMASK;
pub(crate) use data::{Data, DataPiece, LowerFile};
pub(crate) use difference::Changes;
pub(in crate::operations) use errno::Errno;
pub(crate) use inode::{Filesystem, User};
pub(in crate::operations) use inode::{Ino, Kind, ROOT, State};
pub(crate) use mount::{FileMount, MountedFiles};
pub(in crate::operations) use walk::{Last, Located};
