//! The system calls that change files, with their checks of permissions.

use super::data::Data;
use super::errno::Errno;
use super::inode::{Filesystem, Ino, Kind, State};
use super::walk::Located;
use crate::tree::{Device, Xattrs};

/// The permissions that a new file does not get, as in the shells of containers.
pub(in crate::operations) const UMASK: u32 = 0o022;

/// The attribute that Linux removes when a file's content or owner changes.
const CAPABILITY: &[u8] = b"security.capability";

type Done<T = ()> = Result<T, Errno>;

impl Filesystem {
    /// `mkdir`
    pub(in crate::operations) fn make_directory(&mut self, at: &Located, mode: u32) -> Done<Ino> {
        let state = State { mode: mode & 0o1777 & !UMASK, ..State::directory(at.dir) };
        self.add(at, state)
    }

    /// `open` of a file that does not exist.
    pub(in crate::operations) fn make_file(&mut self, at: &Located, mode: u32) -> Done<Ino> {
        if at.slash {
            return Err(Errno::IsDirectory);
        }
        self.add(at, State::new(Kind::File(Data::default()), mode & 0o7777 & !UMASK))
    }

    /// `symlink`
    pub(in crate::operations) fn make_symlink(&mut self, at: &Located, target: &[u8]) -> Done<Ino> {
        if at.slash || target.is_empty() {
            return Err(Errno::NoEntry);
        }
        self.add(at, State::new(Kind::Symlink(target.to_vec()), 0o777))
    }

    /// `mknod`
    pub(in crate::operations) fn make_device(
        &mut self,
        at: &Located,
        device: Device,
        mode: u32,
    ) -> Done<Ino> {
        if self.user.uid != 0 && device != Device::Fifo {
            return Err(Errno::Permission);
        }
        self.add(at, State::new(Kind::Device(device), mode & 0o7777 & !UMASK))
    }

    fn add(&mut self, at: &Located, mut state: State) -> Done<Ino> {
        self.may_add(at)?;
        let dir = self.get(at.dir);
        let inherits = dir.mode & 0o2000 != 0;
        (state.uid, state.gid) = (self.user.uid, if inherits { dir.gid } else { self.user.gid });
        if inherits && state.is_directory() {
            state.mode |= 0o2000;
        }
        let ino = self.push(state);
        self.name(at, ino);
        Ok(ino)
    }

    fn may_add(&self, at: &Located) -> Done {
        if at.inode.is_some() || at.name.is_empty() {
            return Err(Errno::Exists);
        }
        if self.nowhere == Some(at.dir) {
            return Err(Errno::NoEntry);
        }
        self.may_change(at.dir)?;
        self.user.may(self.get(at.dir), 0o3).then_some(()).ok_or(Errno::Access)
    }

    fn name(&mut self, at: &Located, ino: Ino) {
        if let Kind::Directory(directory) = &mut self.change(at.dir).kind {
            directory.names.insert(at.name.clone(), ino);
        }
        if self.is_directory(ino)
            && let Kind::Directory(directory) = &mut self.change(ino).kind
        {
            directory.parent = at.dir;
        }
    }

    fn forget(&mut self, at: &Located) {
        if let Kind::Directory(directory) = &mut self.change(at.dir).kind {
            directory.names.remove(&at.name);
        }
    }

    /// `link`
    pub(in crate::operations) fn link(&mut self, ino: Ino, at: &Located) -> Done {
        if self.is_directory(ino) {
            return Err(Errno::Permission);
        }
        self.same_mount(ino, at.dir)?;
        self.may_add(at)?;
        self.name(at, ino);
        Ok(())
    }

    /// Whether the name may be taken out of its directory.
    fn may_remove(&self, at: &Located) -> Done<Ino> {
        let ino = at.inode.ok_or(Errno::NoEntry)?;
        if at.name.is_empty() {
            return Err(Errno::Busy);
        }
        self.may_change(at.dir)?;
        if self.is_mounted(ino) {
            return Err(Errno::Busy);
        }
        let dir = self.get(at.dir);
        if !self.user.may(dir, 0o3) {
            return Err(Errno::Access);
        }
        let is_sticky = dir.mode & 0o1000 != 0;
        if is_sticky && !self.user.owns(dir) && !self.user.owns(self.get(ino)) {
            return Err(Errno::Permission);
        }
        Ok(ino)
    }

    /// `unlink`
    pub(in crate::operations) fn unlink(&mut self, at: &Located) -> Done {
        if self.is_directory(self.may_remove(at)?) {
            return Err(Errno::IsDirectory);
        }
        self.forget(at);
        Ok(())
    }

    /// `rmdir`
    pub(in crate::operations) fn remove_directory(&mut self, at: &Located) -> Done {
        let ino = self.may_remove(at)?;
        let directory = self.directory(ino).ok_or(Errno::NotDirectory)?;
        if !directory.names.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.forget(at);
        Ok(())
    }

    /// `rename`
    pub(in crate::operations) fn rename(&mut self, from: &Located, to: &Located) -> Done {
        if self.same_mount(from.dir, to.dir).is_err() {
            self.refuse_move();
        }
        let ino = self.may_remove(from)?;
        if to.name.is_empty() {
            return Err(Errno::Busy);
        }
        let is_directory = self.is_directory(ino);
        if is_directory && self.is_within(to.dir, ino) {
            return Err(Errno::Invalid);
        }
        match to.inode {
            Some(old) if old == ino => return Ok(()),
            Some(old) => {
                self.may_remove(to)?;
                match (is_directory, self.directory(old)) {
                    (true, None) => return Err(Errno::NotDirectory),
                    (false, Some(_)) => return Err(Errno::IsDirectory),
                    (true, Some(directory)) if !directory.names.is_empty() => {
                        return Err(Errno::NotEmpty);
                    }
                    _ => {}
                }
            }
            None if to.slash && !is_directory => return Err(Errno::NotDirectory),
            None => self.may_add(to)?,
        }
        self.forget(from);
        self.name(to, ino);
        Ok(())
    }

    /// Whether a directory is another one or below it.
    pub(in crate::operations) fn is_within(&self, mut dir: Ino, other: Ino) -> bool {
        loop {
            if dir == other {
                return true;
            }
            match self.directory(dir) {
                Some(directory) if directory.parent != dir => dir = directory.parent,
                _ => return false,
            }
        }
    }

    /// The names in a directory, in the order of their bytes.
    pub(in crate::operations) fn names(&self, dir: Ino) -> Done<Vec<(Vec<u8>, Ino)>> {
        let directory = self.directory(dir).ok_or(Errno::NotDirectory)?;
        if !self.user.may(self.get(dir), 0o4) {
            return Err(Errno::Access);
        }
        self.list(dir);
        Ok(directory.names.iter().map(|(name, ino)| (name.clone(), *ino)).collect())
    }

    /// The content of a file that is read.
    pub(in crate::operations) fn read(&self, ino: Ino) -> Done<&Data> {
        let state = self.get(ino);
        match &state.kind {
            Kind::Directory(_) => Err(Errno::IsDirectory),
            Kind::File(_) if !self.user.may(state, 0o4) => Err(Errno::Access),
            Kind::File(data) => Ok(data),
            Kind::Symlink(_) => Err(Errno::Loop),
            Kind::Device(_) => Err(Errno::Invalid),
        }
    }

    /// Writes a file's whole content.
    pub(in crate::operations) fn write(&mut self, ino: Ino, data: Data) -> Done {
        let state = self.get(ino);
        match &state.kind {
            Kind::Directory(_) => return Err(Errno::IsDirectory),
            Kind::File(_) if !self.user.may(state, 0o2) => return Err(Errno::Access),
            Kind::File(_) => {}
            Kind::Symlink(_) => return Err(Errno::Loop),
            Kind::Device(_) => return Err(Errno::Invalid),
        }
        self.may_change(ino)?;
        let is_root = self.user.uid == 0;
        let state = self.change(ino);
        state.kind = Kind::File(data);
        if !is_root {
            drop_special(state);
        }
        drop_capability(state);
        Ok(())
    }

    /// Gives a file that the command has just made its content, whatever its mode allows.
    pub(in crate::operations) fn fill(&mut self, ino: Ino, data: Data) {
        self.change(ino).kind = Kind::File(data);
    }

    /// The content of a regular file.
    pub(in crate::operations) fn content(&self, ino: Ino) -> Option<&Data> {
        match &self.get(ino).kind {
            Kind::File(data) => Some(data),
            _ => None,
        }
    }

    /// `chmod`
    pub(in crate::operations) fn set_mode(&mut self, ino: Ino, mode: u32) -> Done {
        self.may_change(ino)?;
        if !self.user.owns(self.get(ino)) {
            return Err(Errno::Permission);
        }
        let keeps_group = self.user.uid == 0 || self.user.is_in(self.get(ino).gid);
        let state = self.change(ino);
        state.mode = if keeps_group || state.is_directory() { mode } else { mode & !0o2000 };
        Ok(())
    }

    /// `lchown`
    pub(in crate::operations) fn set_owner(&mut self, ino: Ino, uid: Option<u64>, gid: Option<u64>) -> Done {
        self.may_change(ino)?;
        let state = self.get(ino);
        let allows = |user: &super::inode::User| {
            let keeps_user = uid.is_none_or(|uid| uid == state.uid);
            user.uid == state.uid && keeps_user && gid.is_none_or(|gid| gid == state.gid || user.is_in(gid))
        };
        if self.user.uid != 0 && !allows(&self.user) {
            return Err(Errno::Permission);
        }
        let state = self.change(ino);
        state.uid = uid.unwrap_or(state.uid);
        state.gid = gid.unwrap_or(state.gid);
        if !state.is_directory() {
            drop_special(state);
        }
        drop_capability(state);
        Ok(())
    }

    /// Sets all attributes, as when files are copied with them.
    pub(in crate::operations) fn set_xattrs(&mut self, ino: Ino, xattrs: Xattrs) {
        self.change(ino).xattrs = xattrs;
    }
}

/// Set-user-id, and set-group-id of a program.
fn drop_special(state: &mut State) {
    state.mode &= !0o4000;
    if state.mode & 0o010 != 0 {
        state.mode &= !0o2000;
    }
}

fn drop_capability(state: &mut State) {
    if state.xattrs.get(CAPABILITY).is_some() {
        let others = state.xattrs.iter().filter(|(name, _)| *name != CAPABILITY);
        state.xattrs = others.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    }
}
