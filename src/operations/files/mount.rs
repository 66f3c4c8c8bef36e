//! Files that are not the image's, in the place of some of its own while a line runs.

use std::collections::HashMap;

use super::data::{Data, LowerFile};
use super::errno::Errno;
use super::inode::{Filesystem, Ino, Kind, Mounted, Mounts, ROOT, Refused, State};
use super::walk::Last;
use crate::tree::{Entry, EntryKind};

/// A mount of a line.
#[derive(Clone, Debug)]
pub(crate) struct FileMount {
    /// The absolute path.
    pub target: String,
    /// `None`: the line must not reach it.
    pub files: Option<MountedFiles>,
}

/// The files of a mount.
#[derive(Clone, Debug)]
pub(crate) struct MountedFiles {
    /// Entries by their paths below the target, each after its directory; an empty path is the target itself.
    pub entries: Vec<(Vec<u8>, Entry<LowerFile>)>,
    /// Whether writing is allowed, and what is written is discarded. No command that writes is translated.
    pub writable: bool,
}

impl Filesystem {
    /// Puts the files of a mount into their place, and makes the directories above it.
    pub fn mount(&mut self, mount: &FileMount) -> Result<(), String> {
        let done = self.mount_one(mount);
        // The path of one mount may lead through another.
        self.mounts.refused.set(None);
        done
    }

    fn mount_one(&mut self, mount: &FileMount) -> Result<(), String> {
        let FileMount { target, files } = mount;
        let failed = |error: Errno| format!("the mount {target} has no place: {error}");
        let end = target.rfind('/').unwrap_or(0);
        let mut dir = ROOT;
        for slash in (1..=end).filter(|&at| target.as_bytes()[at] == b'/') {
            let at = self.walk(ROOT, &target.as_bytes()[..slash], Last::Follow).map_err(failed)?;
            dir = match at.inode {
                Some(ino) if self.is_directory(ino) => ino,
                Some(_) => return Err(failed(Errno::NotDirectory)),
                None => {
                    let ino = self.push(State::directory(at.dir));
                    self.set_name(at.dir, &at.name, Some(ino));
                    self.mounts.made.push((at.dir, at.name, ino));
                    ino
                }
            };
        }
        let at = self.walk(dir, &target.as_bytes()[end + 1..], Last::Follow).map_err(failed)?;
        if at.name.is_empty() {
            return Err(failed(Errno::Busy));
        }
        let Some(MountedFiles { entries, writable }) = files else {
            self.mounts.closed.push((at.dir, at.name, target.clone()));
            return Ok(());
        };
        let start = self.inodes();
        let root = self.load_mount(at.dir, entries);
        self.set_name(at.dir, &at.name, Some(root));
        let (dir, name, hidden, writable) = (at.dir, at.name, at.inode, *writable);
        let inodes = start..self.inodes();
        self.mounts.mounted.push(Mounted { dir, name, hidden, root, inodes, writable });
        Ok(())
    }

    /// Makes the inodes of a mount, and returns that of its root.
    fn load_mount(&mut self, dir: Ino, entries: &[(Vec<u8>, Entry<LowerFile>)]) -> Ino {
        let mut inodes: HashMap<&[u8], Ino> = HashMap::new();
        let has_root = entries.first().is_some_and(|(path, _)| path.is_empty());
        if !has_root {
            inodes.insert(b"", self.push(State::directory(dir)));
        }
        for (path, Entry { kind, mode, uid, gid, xattrs }) in entries {
            let (above, name) = match path.iter().rposition(|&byte| byte == b'/') {
                None => (&b""[..], &path[..]),
                Some(slash) => (&path[..slash], &path[slash + 1..]),
            };
            let parent = if path.is_empty() { Some(dir) } else { inodes.get(above).copied() };
            let Some(parent) = parent else { continue };
            let kind = match kind {
                EntryKind::File(file) => Kind::File(Data::lower(file.clone())),
                EntryKind::Directory | EntryKind::Opaque => State::directory(parent).kind,
                EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
                EntryKind::Device(device) => Kind::Device(*device),
                EntryKind::HardLink(target) => {
                    if let Some(&known) = inodes.get(&target[..]) {
                        inodes.insert(path, known);
                        self.load_name(parent, name, known);
                    }
                    continue;
                }
                EntryKind::Whiteout => continue,
            };
            let ino = self.push(State { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() });
            inodes.insert(path, ino);
            if !path.is_empty() {
                self.load_name(parent, name, ino);
            }
        }
        inodes.get(&b""[..]).copied().unwrap_or(ROOT)
    }

    fn load_name(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        if let Kind::Directory(directory) = &mut self.load(dir).kind {
            directory.names.insert(name.to_vec(), ino);
        }
    }

    fn set_name(&mut self, dir: Ino, name: &[u8], ino: Option<Ino>) {
        if let Kind::Directory(directory) = &mut self.change(dir).kind {
            match ino {
                Some(ino) => drop(directory.names.insert(name.to_vec(), ino)),
                None => drop(directory.names.remove(name)),
            }
        }
    }

    /// Takes all mounts away, with the directories that were made for them and have stayed empty.
    pub fn unmount(&mut self) {
        let Mounts { mounted, made, .. } = std::mem::take(&mut self.mounts);
        for Mounted { dir, name, hidden, .. } in mounted.into_iter().rev() {
            self.set_name(dir, &name, hidden);
        }
        for (dir, name, ino) in made.into_iter().rev() {
            let is_there = self.at(dir, &name).inode == Some(ino);
            if is_there && self.directory(ino).is_some_and(|directory| directory.names.is_empty()) {
                self.set_name(dir, &name, None);
            }
        }
    }

    /// Why the line needs a process, if it has done what only a process can do.
    pub(in crate::operations) fn refused(&self) -> Option<String> {
        Some(match self.mounts.refused.get()? {
            Refused::Reached(number) => {
                let (_, _, target) = &self.mounts.closed[number];
                format!("the line reaches the mount {target}, whose files only a process reads")
            }
            Refused::Wrote => "the line writes to a mount, which only a process can do".to_owned(),
            Refused::Moved => "the line moves a file between a mount and the image".to_owned(),
        })
    }

    /// Notes that a name is looked up.
    pub(super) fn look_up(&self, dir: Ino, name: &[u8]) {
        let is_name = |(closed, of, _): &(Ino, Vec<u8>, String)| *closed == dir && of == name;
        if let Some(number) = self.mounts.closed.iter().position(is_name) {
            self.mounts.refused.set(Some(Refused::Reached(number)));
        }
    }

    /// Notes that a directory is listed.
    pub(super) fn list(&self, dir: Ino) {
        if let Some(number) = self.mounts.closed.iter().position(|(closed, ..)| *closed == dir) {
            self.mounts.refused.set(Some(Refused::Reached(number)));
        }
    }

    fn mount_of(&self, ino: Ino) -> Option<&Mounted> {
        self.mounts.mounted.iter().find(|mounted| mounted.inodes.contains(&ino))
    }

    /// Fails if the inode is one of a mount, which no command may change.
    pub(in crate::operations) fn may_change(&self, ino: Ino) -> Result<(), Errno> {
        match self.mount_of(ino) {
            None => Ok(()),
            Some(mounted) => {
                if mounted.writable {
                    self.mounts.refused.set(Some(Refused::Wrote));
                }
                Err(Errno::ReadOnly)
            }
        }
    }

    /// Whether the inode is the root of a mount.
    pub(super) fn is_mounted(&self, ino: Ino) -> bool {
        self.mounts.mounted.iter().any(|mounted| mounted.root == ino)
    }

    /// Fails if two inodes are not on the same mount.
    pub(super) fn same_mount(&self, ino: Ino, other: Ino) -> Result<(), Errno> {
        let start = |ino| self.mount_of(ino).map(|mounted| mounted.root);
        if start(ino) == start(other) { Ok(()) } else { Err(Errno::CrossDevice) }
    }

    /// Notes that a file is moved between mounts.
    pub(super) fn refuse_move(&self) {
        self.mounts.refused.set(Some(Refused::Moved));
    }
}
