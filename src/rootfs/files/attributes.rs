//! Owners, modes, extended attributes and times of files.
//!
//! A layer keeps the attributes that Docker and buildah keep between them: `security.capability` and `user.*`. Labels
//! of SELinux and access control lists belong to the host, and are neither read nor written.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{
    Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod, fchown, fgetxattr,
    flistxattr, fremovexattr, fsetxattr, utimensat,
};
use rustix::io::Errno;

use super::directories::{Directories, NOFOLLOW};
use crate::tree::{Device, Entry, EntryKind, Xattrs};

/// How the owners of files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// As owners: this process may give files to others.
    Kernel,
    /// In [`OWNER`]: all files belong to one user. The owner of a symbolic link cannot be kept.
    Recorded,
}

/// The attribute with the owner of a file or directory, as `UID:GID`. [`Owners::Kernel`] uses it only for owners
/// outside of the ids of this user namespace.
const OWNER: &str = "user.lbuild.owner";

/// The attribute of an empty file that stands for a device which this process could not make: its kind and numbers, as
/// `c:1:3`.
const DEVICE: &str = "user.lbuild.device";

const CAPABILITY: &str = "security.capability";

/// The prefix of lbuild's own attributes.
const OWN: &[u8] = b"user.lbuild.";

/// The attributes of overlayfs, and of a program's attributes with such names.
const OVERLAY: &[u8] = b"user.overlay.";
const OPAQUE: &str = "user.overlay.opaque";

/// Gives a file of any kind a mode and an owner. Where all files belong to one user, so does this one.
pub(crate) fn set_access(path: &Path, mode: u32, owner: (u32, u32), owners: Owners) -> io::Result<()> {
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    if owners == Owners::Kernel {
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        rustix::fs::chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// The extended attributes of a file, decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Those that a layer keeps.
    pub xattrs: Xattrs,
    owner: Option<(u64, u64)>,
    /// The device that the file stands for.
    pub device: Option<Device>,
    /// Whether overlayfs hides all entries of lower directories in it.
    pub opaque: bool,
}

impl Attributes {
    /// The attributes of a regular file or directory. In the upper directory of an overlay, some belong to overlayfs.
    pub fn read(file: impl AsFd, is_overlay: bool) -> io::Result<Attributes> {
        let file = file.as_fd();
        let mut found = Attributes::default();
        for name in names(file)? {
            match name.as_slice() {
                name if name == OWNER.as_bytes() => {
                    found.owner = value(file, name)?.as_deref().and_then(owner)
                }
                name if name == DEVICE.as_bytes() => {
                    found.device = value(file, name)?.as_deref().and_then(device_of);
                }
                name if name == OPAQUE.as_bytes() && is_overlay => {
                    found.opaque = value(file, name)?.as_deref() == Some(b"y");
                }
                name => {
                    let kept = match name.strip_prefix(OVERLAY) {
                        Some(escaped) if escaped.starts_with(b"overlay.") => [b"user.", escaped].concat(),
                        Some(_) if is_overlay => continue,
                        _ => name.to_vec(),
                    };
                    if is_kept(&kept)
                        && let Some(value) = value(file, name)?
                    {
                        found.xattrs.insert(kept, plain(name, value));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The owner of a file with these attributes. `unrecorded` is that of a file without a record of it.
    pub fn owner(&self, stat: &Stat, owners: Owners, unrecorded: (u64, u64)) -> (u64, u64) {
        match owners {
            Owners::Recorded => self.owner.unwrap_or(unrecorded),
            Owners::Kernel => match (stat.st_uid, stat.st_gid) {
                (0, 0) => self.owner.unwrap_or_default(),
                (uid, gid) => (uid.into(), gid.into()),
            },
        }
    }
}

/// Whether a layer keeps an attribute.
fn is_kept(name: &[u8]) -> bool {
    name == CAPABILITY.as_bytes() || (name.starts_with(b"user.") && !name.starts_with(OWN))
}

/// The attributes that a file of this kind can have in a root. The kernel refuses `user.*` except on regular files and
/// directories.
pub(super) fn kept<C>(entry: &Entry<C>) -> Xattrs {
    let is_kept = |name: &[u8]| match entry.kind {
        EntryKind::File(_) => is_kept(name),
        EntryKind::Directory | EntryKind::Opaque => is_kept(name) && name != CAPABILITY.as_bytes(),
        _ => false,
    };
    let kept = entry.xattrs.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| (name, plain(name, value.to_vec()))).collect()
}

/// The value as a layer has it. In a user namespace the kernel stores capabilities with the id of the namespace's root
/// (revision 3, 24 bytes), which would be void elsewhere; layers have revision 2, 20 bytes.
///
/// <https://man7.org/linux/man-pages/man7/capabilities.7.html>
fn plain(name: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    if name == CAPABILITY.as_bytes() && value.len() == 24 && value[3] == 3 {
        value[3] = 2;
        value.truncate(20);
    }
    value
}

fn owner(text: &[u8]) -> Option<(u64, u64)> {
    let (uid, gid) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// Records the owner of a regular file or directory.
pub(super) fn record<C>(file: impl AsFd, entry: &Entry<C>) -> io::Result<()> {
    let owner = format!("{}:{}", entry.uid, entry.gid);
    Ok(fsetxattr(file, OWNER, owner.as_bytes(), XattrFlags::empty())?)
}

/// Marks an empty file as standing for a device.
pub(super) fn mark_device(file: impl AsFd, device: Device) -> io::Result<()> {
    let text = match device {
        Device::Character { major, minor } => format!("c:{major}:{minor}"),
        Device::Block { major, minor } => format!("b:{major}:{minor}"),
        Device::Unknown(flag) => format!("u:{flag}:0"),
        Device::Fifo => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok(fsetxattr(file, DEVICE, text.as_bytes(), XattrFlags::empty())?)
}

fn device_of(text: &[u8]) -> Option<Device> {
    let mut parts = std::str::from_utf8(text).ok()?.split(':');
    let (kind, major, minor) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    match kind {
        "c" => Some(Device::Character { major, minor }),
        "b" => Some(Device::Block { major, minor }),
        "u" => Some(Device::Unknown(u8::try_from(major).ok()?)),
        _ => None,
    }
}

/// The names of all attributes; none where the file system has none.
pub(super) fn names(file: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut buffer = vec![0; 1024];
    loop {
        match flistxattr(file, &mut buffer[..]) {
            Ok(length) => {
                let names = buffer[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
                return Ok(names.map(<[u8]>::to_vec).collect());
            }
            Err(Errno::RANGE) => buffer.resize(64 << 10, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The value of an attribute; `None` if it has been removed meanwhile or cannot be read.
pub(super) fn value(file: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 256];
    loop {
        match fgetxattr(file, name, &mut buffer[..]) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 64 << 10 => buffer.resize(64 << 10, 0),
            // A capability of another user namespace.
            Err(Errno::NODATA | Errno::OVERFLOW) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives a regular file or directory the owner, mode and attributes of an entry. `is_new` says that it has none yet.
pub(super) fn set<C>(file: impl AsFd, entry: &Entry<C>, owners: Owners, is_new: bool) -> io::Result<()> {
    let file = file.as_fd();
    if !is_new {
        for name in
            names(file)?.iter().filter(|name| name.starts_with(b"user.") && *name != OPAQUE.as_bytes())
        {
            fremovexattr(file, name.as_slice())?;
        }
    }
    let is_kept = match owners {
        Owners::Recorded => (entry.uid, entry.gid) == (0, 0),
        Owners::Kernel => give(entry, |uid, gid| fchown(file, uid, gid))?,
    };
    if !is_kept {
        record(file, entry)?;
    }
    // After the owner, because a change of the owner clears the set-id bits and the capability.
    fchmod(file, Mode::from_raw_mode(entry.mode))?;
    for (name, value) in kept(entry).iter() {
        let name = match name.strip_prefix(OVERLAY) {
            Some(own) => [OVERLAY, b"overlay.", own].concat(),
            None => name.to_vec(),
        };
        match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
            // Without a user namespace, only root may set it. A file without it works for root.
            Err(Errno::PERM) if name == CAPABILITY.as_bytes() => {}
            done => done?,
        }
    }
    Ok(())
}

/// Gives a symbolic link or a special file the owner of an entry, where that is possible.
pub(super) fn give_special<C>(
    directories: &mut Directories,
    path: &[u8],
    entry: &Entry<C>,
    owners: Owners,
) -> io::Result<()> {
    if owners == Owners::Kernel {
        let (dir, name) = directories.parent(path)?;
        give(entry, |uid, gid| chownat(dir, name, uid, gid, NOFOLLOW))?;
    }
    Ok(())
}

/// Changes the owner; `false` if this user namespace does not have it.
fn give<C>(
    entry: &Entry<C>,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
) -> io::Result<bool> {
    let id = |id: u64| u32::try_from(id).ok().filter(|&id| id != u32::MAX);
    let (Some(uid), Some(gid)) = (id(entry.uid), id(entry.gid)) else { return Ok(false) };
    match chown(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Marks a directory of an overlay's lower layer as hiding what is below it.
pub(super) fn mark_opaque(dir: impl AsFd) -> io::Result<()> {
    Ok(fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())?)
}

/// Sets the modification time of a file, which may be a symbolic link or the root.
pub(super) fn set_mtime(directories: &mut Directories, path: &[u8], mtime: u64) -> io::Result<()> {
    let times = times(mtime);
    if path.is_empty() {
        return Ok(rustix::fs::futimens(directories.read(path)?, &times)?);
    }
    let (dir, name) = directories.parent(path)?;
    Ok(utimensat(dir, name, &times, NOFOLLOW)?)
}

/// A modification time, and the access time unchanged.
pub(super) fn times(mtime: u64) -> Timestamps {
    // A time that the kernel's type cannot hold is of no use to anybody.
    let seconds = i64::try_from(mtime).unwrap_or(i64::MAX);
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}
