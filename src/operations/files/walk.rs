//! Follows paths from name to name, as the kernel does.
//!
//! <https://man7.org/linux/man-pages/man7/path_resolution.7.html>

use super::errno::Errno;
use super::inode::{Filesystem, Ino, Kind, ROOT};

/// The maximum number of links that Linux follows in one path, and the lengths of a path and of a name.
const MAX_LINKS: usize = 40;
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// The end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operations) struct Located {
    /// The directory that has the name, or would have it.
    pub dir: Ino,
    /// The name; empty if the path ends in the directory itself, as `/`, `.` and `..` do.
    pub name: Vec<u8>,
    /// The file of this name.
    pub inode: Option<Ino>,
    /// Whether the path ends in a slash.
    pub slash: bool,
}

/// Whether a symbolic link at the end of a path is followed. A link before a slash always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operations) enum Last {
    Follow,
    Keep,
}

impl Filesystem {
    /// Follows a path that begins at the directory `start` unless it is absolute. The last name need not exist.
    pub(in crate::operations) fn walk(&self, start: Ino, path: &[u8], last: Last) -> Result<Located, Errno> {
        if path.is_empty() {
            return Err(Errno::NoEntry);
        }
        if path.len() >= MAX_PATH {
            return Err(Errno::NameTooLong);
        }
        let itself = |dir: Ino| Located { dir, name: Vec::new(), inode: Some(dir), slash: false };
        let mut here = itself(if path.starts_with(b"/") { ROOT } else { start });
        let (mut slash, mut links) = (path.ends_with(b"/"), 0);
        let mut ahead: Vec<&[u8]> = parts(path).rev().collect();
        while let Some(part) = ahead.pop() {
            let current = here.inode.ok_or(Errno::NoEntry)?;
            let directory = self.directory(current).ok_or(Errno::NotDirectory)?;
            if !self.user.may(self.get(current), 0o1) {
                return Err(Errno::Access);
            }
            match part {
                b"." => here = itself(current),
                b".." => here = itself(directory.parent),
                name if name.len() > MAX_NAME => return Err(Errno::NameTooLong),
                name => {
                    self.look_up(current, name);
                    let inode = directory.names.get(name).copied();
                    let follows = !ahead.is_empty() || last == Last::Follow || slash;
                    if let Some(ino) = inode
                        && let Kind::Symlink(target) = &self.get(ino).kind
                        && follows
                    {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(Errno::Loop);
                        }
                        slash |= ahead.is_empty() && target.ends_with(b"/");
                        here = itself(if target.starts_with(b"/") { ROOT } else { current });
                        ahead.extend(parts(target).rev());
                        continue;
                    }
                    here = Located { dir: current, name: name.to_vec(), inode, slash: false };
                }
            }
        }
        match here.inode {
            Some(ino) if slash && !self.is_directory(ino) => Err(Errno::NotDirectory),
            _ => Ok(Located { slash, ..here }),
        }
    }

    /// The file that a path leads to.
    pub(in crate::operations) fn find(&self, start: Ino, path: &[u8], last: Last) -> Result<Ino, Errno> {
        self.walk(start, path, last)?.inode.ok_or(Errno::NoEntry)
    }

    /// The entry of a directory with this name, whether it exists or not.
    pub(in crate::operations) fn at(&self, dir: Ino, name: &[u8]) -> Located {
        self.look_up(dir, name);
        let inode = self.directory(dir).and_then(|directory| directory.names.get(name)).copied();
        Located { dir, name: name.to_vec(), inode, slash: false }
    }
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
}
