//! Where and how a file's owner is recorded.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use super::acl;
use crate::rootfs::run::command::User;

/// The attribute that holds the owner of a file or directory, as `UID:GID`. Without it, the owner is `0:0`, or the user
/// of the command that has created the file.
pub(crate) const XATTR: &str = "user.lbuild.owner";

const CAPABILITY: &str = "security.capability";

/// An owner's text has at most 21 bytes; a larger value is something else.
const MAX_OWNER: usize = 64;

type Result<T> = std::result::Result<T, Errno>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    fn parse(text: &[u8]) -> Option<Owner> {
        let (uid, gid) = std::str::from_utf8(text).ok()?.split_once(':')?;
        Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }
}

/// Whether files in a directory can hold the attribute.
///
/// # Errors
/// When no file can be created there, or when its filesystem stores no attributes of users (`EOPNOTSUPP`).
pub(crate) fn supported(dir: &Path) -> io::Result<()> {
    let file = tempfile::tempfile_in(dir)?;
    Ok(rustix::fs::fsetxattr(&file, XATTR, b"1:1", XattrFlags::empty())?)
}

/// A file that a call names, opened as `O_PATH`.
pub(super) struct Recorded {
    fd: OwnedFd,
    found: Stat,
    /// The descriptor's path: most calls refuse a descriptor of this kind itself.
    path: String,
}

impl Recorded {
    pub(super) fn new(fd: OwnedFd) -> Result<Recorded> {
        let found = rustix::fs::fstat(&fd)?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        Ok(Recorded { fd, found, path })
    }

    /// What `chown` does, but for the owner itself, which is recorded. Files of other types than regular ones and
    /// directories have no attributes: their owners are lost, with the answer of success.
    pub(super) fn chown(&self, uid: Option<u32>, gid: Option<u32>, user: &User) -> Result<()> {
        let kind = FileType::from_raw_mode(self.found.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Ok(());
        }
        let result = self.with_access(|| self.change(kind, uid, gid, user));
        match result {
            // Not a file of the image: /proc, /dev, a pipe.
            Err(Errno::OPNOTSUPP) => Ok(()),
            // The name that `chown` has for it.
            Err(Errno::ACCESS) => Err(Errno::PERM),
            result => result,
        }
    }

    fn change(&self, kind: FileType, uid: Option<u32>, gid: Option<u32>, user: &User) -> Result<()> {
        let own = Owner { uid: user.uid, gid: user.gid };
        let now = self.owner()?.unwrap_or(own);
        let new = Owner { uid: uid.unwrap_or(now.uid), gid: gid.unwrap_or(now.gid) };
        if user.uid != 0 && !may_change(user, now, new) {
            return Err(Errno::PERM);
        }
        if kind == FileType::RegularFile && self.is_privileged() {
            // The kernel takes the set-user-id and set-group-id bits and the capabilities away at any change of owner,
            // even at one that keeps both ids. This one needs no mapping.
            let (uid, gid) = (None::<Uid>, None::<Gid>);
            rustix::fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        // A file that is not written to is not copied up.
        if new == now {
            return Ok(());
        }
        if new == (Owner { uid: 0, gid: 0 }) {
            return rustix::fs::removexattr(&*self.path, XATTR);
        }
        let text = format!("{}:{}", new.uid, new.gid);
        rustix::fs::setxattr(&*self.path, XATTR, text.as_bytes(), XattrFlags::empty())
    }

    fn owner(&self) -> Result<Option<Owner>> {
        let mut text = [0; MAX_OWNER];
        match rustix::fs::getxattr(&*self.path, XATTR, &mut text) {
            Ok(length) => Ok(Owner::parse(&text[..length])),
            Err(Errno::NODATA | Errno::RANGE) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn is_privileged(&self) -> bool {
        let bits = self.found.st_mode & (libc::S_ISUID | libc::S_ISGID) != 0;
        let none = [Errno::NODATA, Errno::OPNOTSUPP];
        bits || rustix::fs::getxattr_query(&*self.path, CAPABILITY)
            .map_or_else(|e| !none.contains(&e), |_| true)
    }

    /// What a POSIX ACL leaves in the mode of a file. The ACL itself, which the kernel would refuse, is not stored: no
    /// layer has ACLs.
    pub(super) fn access_acl(&self, value: &[u8]) -> Result<()> {
        match acl::mode(value) {
            Some(bits) if FileType::from_raw_mode(self.found.st_mode) != FileType::Symlink => {
                self.chmod(self.found.st_mode & 0o7000 | bits)
            }
            _ => Ok(()),
        }
    }

    /// Root of the namespace may read and write everything, but this process is only the owner.
    fn with_access(&self, work: impl Fn() -> Result<()>) -> Result<()> {
        match work() {
            Err(Errno::ACCESS) => {}
            result => return result,
        }
        self.chmod(self.found.st_mode | 0o600)?;
        let result = work();
        let cleared = rustix::fs::fstat(&self.fd).map_or(0, |now| self.found.st_mode & !now.st_mode);
        self.chmod(self.found.st_mode & !cleared)?;
        result
    }

    fn chmod(&self, mode: u32) -> Result<()> {
        rustix::fs::chmod(&*self.path, Mode::from_raw_mode(mode & 0o7777))
    }
}

/// The rule for users other than root: the file stays theirs, and its group becomes one of their own.
fn may_change(user: &User, now: Owner, new: Owner) -> bool {
    let is_own = now.uid == user.uid && new.uid == now.uid;
    is_own && (new.gid == now.gid || new.gid == user.gid || user.groups.contains(&new.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_have_two_numbers() {
        assert_eq!(Owner::parse(b"1000:7"), Some(Owner { uid: 1000, gid: 7 }));
        for text in ["", "1000", "1000:", "1000:7:8", "-1:0", "a:b"] {
            assert_eq!(Owner::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn users_keep_their_files() {
        let user = User { uid: 5, gid: 6, groups: vec![7] };
        let now = Owner { uid: 5, gid: 6 };
        let may = |now, uid, gid| may_change(&user, now, Owner { uid, gid });
        assert!(may(now, 5, 6) && may(now, 5, 7));
        assert!(!may(now, 5, 8) && !may(now, 0, 6));
        assert!(!may(Owner { uid: 0, gid: 0 }, 0, 0));
    }

    #[test]
    fn a_directory_that_holds_attributes() {
        let dir = tempfile::tempdir().unwrap();
        supported(dir.path()).unwrap();
        // /proc takes no file.
        assert!(supported(Path::new("/proc/self")).is_err());
    }
}
