//! Home directories.

use crate::operations::files::{Errno, Filesystem, Ino, Kind, Last, ROOT};

/// A home directory that is made.
pub(super) struct Home<'h> {
    pub path: &'h str,
    pub uid: u64,
    pub gid: u64,
    pub mode: u32,
    /// The directory whose content is copied into it.
    pub skeleton: Option<&'h str>,
    /// The mode of directories in it, if the program does not keep theirs.
    pub inner_mode: Option<u32>,
    /// Whether missing directories above it are made.
    pub parents: bool,
}

impl Filesystem {
    /// Makes a home directory. One that exists stays as it is; then the result is false.
    pub(super) fn make_home(&mut self, home: &Home<'_>) -> Result<bool, Errno> {
        let path = home.path.trim_end_matches('/').as_bytes();
        if home.parents {
            for slash in (1..path.len()).filter(|&at| path[at] == b'/') {
                let at = self.walk(ROOT, &path[..slash], Last::Follow)?;
                if at.inode.is_none() {
                    self.make_directory(&at, 0o777)?;
                }
            }
        }
        let at = self.walk(ROOT, path, Last::Follow)?;
        if at.inode.is_some() {
            return Ok(false);
        }
        let dir = self.make_directory(&at, 0o777)?;
        let skeleton = home.skeleton.and_then(|path| self.find(ROOT, path.as_bytes(), Last::Follow).ok());
        if let Some(skeleton) = skeleton.filter(|ino| self.is_directory(*ino)) {
            self.copy_skeleton(skeleton, dir, home)?;
        }
        self.set_owner(dir, Some(home.uid), Some(home.gid))?;
        self.set_mode(dir, home.mode)?;
        Ok(true)
    }

    fn copy_skeleton(&mut self, from: Ino, to: Ino, home: &Home<'_>) -> Result<(), Errno> {
        for (name, ino) in self.names(from)? {
            let (at, state) = (self.at(to, &name), self.get(ino).clone());
            let copy = match &state.kind {
                Kind::Directory(_) => {
                    let copy = self.make_directory(&at, 0o777)?;
                    self.copy_skeleton(ino, copy, home)?;
                    copy
                }
                Kind::File(data) => {
                    let copy = self.make_file(&at, 0o666)?;
                    self.fill(copy, data.clone());
                    copy
                }
                Kind::Symlink(target) => self.make_symlink(&at, target)?,
                Kind::Device(_) => continue,
            };
            self.set_owner(copy, Some(home.uid), Some(home.gid))?;
            let inner_mode = home.inner_mode.filter(|_| state.is_directory());
            if !state.is_symlink() {
                self.set_mode(copy, inner_mode.unwrap_or(state.mode))?;
            }
        }
        Ok(())
    }
}
