//! Loads the layers below.

use std::collections::HashMap;

use super::data::{Data, LowerFile};
use super::inode::{Filesystem, Ino, Kind, ROOT, State};
use super::walk::Last;
use crate::image::Digest;
use crate::tree::{Entry, EntryKind, Member, Seen, View};

/// The limits of paths that are loaded: the length that Linux allows, and a depth that bounds recursion. No reader of
/// layers could make a longer path.
const MAX_PATH: usize = 4096;
const MAX_DEPTH: usize = 500;

fn is_too_long(path: &[u8]) -> bool {
    path.len() >= MAX_PATH || path.iter().filter(|&&byte| byte == b'/').count() >= MAX_DEPTH
}

impl Filesystem {
    /// The files that a container sees of some layers. `content` is the size of a file and its digest, if it is known.
    pub fn of<C>(view: &View<'_, C>, content: impl Fn(&C) -> (u64, Option<Digest>)) -> Filesystem {
        let mut files = Filesystem::empty();
        // Names of one file share its inode, by the member that it was first.
        let mut inodes: HashMap<*const Member<C>, Ino> = HashMap::new();
        for seen in view.iter() {
            let path = seen.member.path.as_bytes();
            let Some(inode) = view.inode(seen).filter(|_| !is_too_long(path)) else { continue };
            if path.is_empty() {
                let root = state(inode, ROOT, &content).filter(State::is_directory);
                root.into_iter().for_each(|root| *files.load(ROOT) = root);
                continue;
            }
            let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
                None => (Some(ROOT), path),
                Some(slash) => (files.directory_at(&path[..slash]), &path[slash + 1..]),
            };
            let Some(dir) = dir else { continue };
            let known = inodes.get(&std::ptr::from_ref(inode.member)).copied();
            let ino = match (known, state(inode, dir, &content)) {
                (Some(known), _) => known,
                (None, Some(state)) => files.push(state),
                (None, None) => continue,
            };
            if !inode.member.is_directory() {
                inodes.insert(std::ptr::from_ref(inode.member), ino);
            }
            files.enter(dir, name, ino);
        }
        files.seal();
        files
    }

    /// The directory at a path. One without an entry is made, as a reader of the layers does.
    fn directory_at(&mut self, path: &[u8]) -> Option<Ino> {
        if let Ok(ino) = self.find(ROOT, path, Last::Follow) {
            return self.is_directory(ino).then_some(ino);
        }
        let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
            None => (ROOT, path),
            Some(slash) => (self.directory_at(&path[..slash])?, &path[slash + 1..]),
        };
        if self.at(dir, name).inode.is_some() {
            return None;
        }
        let ino = self.push(State::directory(dir));
        self.enter(dir, name, ino);
        Some(ino)
    }

    fn enter(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        if let Kind::Directory(directory) = &mut self.load(dir).kind {
            directory.names.insert(name.to_vec(), ino);
        }
    }
}

fn state<C>(seen: Seen<'_, C>, dir: Ino, content: &impl Fn(&C) -> (u64, Option<Digest>)) -> Option<State> {
    let Entry { kind, mode, uid, gid, xattrs } = &seen.member.entry;
    let kind = match kind {
        EntryKind::File(known) => {
            let (size, sha256) = content(known);
            let path = seen.member.path.as_bytes().into();
            Kind::File(Data::lower(LowerFile { layer: seen.layer, path, size, sha256 }))
        }
        EntryKind::Directory => State::directory(dir).kind,
        EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
        EntryKind::Device(device) => Kind::Device(*device),
        EntryKind::HardLink(_) | EntryKind::Whiteout | EntryKind::Opaque => return None,
    };
    Some(State { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() })
}
