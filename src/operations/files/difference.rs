//! The difference between the files and the layers below: the entries of the new layer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::data::Data;
use super::inode::{Filesystem, Ino, Kind, ROOT, State};
use crate::tree::{Entry, EntryKind};

/// The entries of a layer by their paths, with their parent directories. A file's content is not read yet.
pub(crate) type Changes = BTreeMap<Vec<u8>, Entry<Data>>;

impl Filesystem {
    /// What a layer above the layers below must have; nothing if no file has changed. An entry that equals the one
    /// below is left out. A file with several names is there with all of them, because a reader that gets only one
    /// would separate them.
    pub fn changes(&self) -> Changes {
        let mut difference = Difference {
            files: self,
            names_before: HashMap::new(),
            names: HashMap::new(),
            changed: BTreeSet::new(),
            layer: Changes::new(),
        };
        difference.count();
        difference.compare(&[], Some(ROOT), ROOT);
        difference.finish()
    }
}

struct Difference<'f> {
    files: &'f Filesystem,
    /// The number of names of each file below.
    names_before: HashMap<Ino, usize>,
    /// The paths of each file with several names.
    names: HashMap<Ino, Vec<Vec<u8>>>,
    /// Paths of files that the layer has.
    changed: BTreeSet<(Vec<u8>, Ino)>,
    layer: Changes,
}

impl Difference<'_> {
    fn count(&mut self) {
        let mut dirs = vec![ROOT];
        while let Some(dir) = dirs.pop() {
            let Some(State { kind: Kind::Directory(directory), .. }) = self.files.before(dir) else {
                continue;
            };
            for &ino in directory.names.values() {
                match self.files.before(ino).is_some_and(State::is_directory) {
                    true => dirs.push(ino),
                    false => *self.names_before.entry(ino).or_default() += 1,
                }
            }
        }
        let mut dirs = vec![(Vec::new(), ROOT)];
        while let Some((path, dir)) = dirs.pop() {
            for (name, &ino) in self.files.directory(dir).into_iter().flat_map(|directory| &directory.names) {
                let path = below(&path, name);
                match self.files.is_directory(ino) {
                    true => dirs.push((path, ino)),
                    false => self.names.entry(ino).or_default().push(path),
                }
            }
        }
        self.names.retain(|_, paths| paths.len() > 1);
        self.names.values_mut().for_each(|paths| paths.sort());
    }

    /// Compares a directory with the one below that has the same path.
    fn compare(&mut self, path: &[u8], lower: Option<Ino>, dir: Ino) {
        let files = self.files;
        let before = lower.and_then(|lower| files.before(lower));
        let mut known = match before {
            Some(State { kind: Kind::Directory(directory), .. }) => Some(directory),
            _ => None,
        };
        let state = files.get(dir);
        let is_replaced = known.is_some_and(|known| lower != Some(dir) && !known.names.is_empty());
        if is_replaced {
            // None of the entries below is kept, even if an equal one comes back.
            self.put(path, entry(state, EntryKind::Opaque));
            known = None;
        } else if before.is_none_or(|before| !is_same_directory(before, state)) {
            self.put(path, entry(state, EntryKind::Directory));
        }
        let none = BTreeMap::new();
        let names = files.directory(dir).map_or(&none, |directory| &directory.names);
        for (name, &ino) in names {
            let path = below(path, name);
            let lower = known.and_then(|known| known.names.get(name)).copied();
            if files.is_directory(ino) {
                self.compare(&path, lower, ino);
            } else if lower.is_none_or(|lower| !self.is_same(lower, ino)) {
                self.changed.insert((path, ino));
            }
        }
        for name in known.into_iter().flat_map(|known| known.names.keys()) {
            if !names.contains_key(name) {
                self.put(&below(path, name), Entry::new(EntryKind::Whiteout, 0));
            }
        }
    }

    /// Whether an inode below and one of now are the same to a reader.
    fn is_same(&self, lower: Ino, ino: Ino) -> bool {
        let Some(before) = self.files.before(lower) else { return false };
        let has_one_name = self.names_before.get(&lower) == Some(&1) && !self.names.contains_key(&ino);
        if lower != ino && !has_one_name {
            return false;
        }
        let now = self.files.get(ino);
        let is_same_kind = match (&before.kind, &now.kind) {
            (Kind::File(before), Kind::File(now)) => before.is(now),
            (before, now) => before == now,
        };
        let is_link = now.is_symlink();
        is_same_kind
            && (is_link || before.mode == now.mode)
            && (before.uid, before.gid, &before.xattrs) == (now.uid, now.gid, &now.xattrs)
    }

    /// Puts an entry into the layer, and the directories above it as they are now.
    fn put(&mut self, path: &[u8], entry: Entry<Data>) {
        // A layer has no entry for the root.
        if path.is_empty() {
            return;
        }
        let files = self.files;
        let mut dir = ROOT;
        for slash in (0..path.len()).filter(|&at| path[at] == b'/') {
            let start = path[..slash].iter().rposition(|&byte| byte == b'/').map_or(0, |before| before + 1);
            let Some(inode) = files.at(dir, &path[start..slash]).inode else { break };
            dir = inode;
            let parent = || self::entry(files.get(dir), EntryKind::Directory);
            self.layer.entry(path[..slash].to_vec()).or_insert_with(parent);
        }
        self.layer.insert(path.to_vec(), entry);
    }

    fn finish(mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let mut linked: BTreeSet<Ino> = BTreeSet::new();
        for (path, ino) in changed {
            match self.names.contains_key(&ino) {
                true => {
                    linked.insert(ino);
                }
                false => self.put_file(&path, ino),
            }
        }
        for ino in linked {
            let names = self.names.remove(&ino).unwrap_or_default();
            let Some((first, others)) = names.split_first() else { continue };
            self.put_file(first, ino);
            for name in others {
                self.put(name, entry(self.files.get(ino), EntryKind::HardLink(first.clone())));
            }
        }
        self.layer
    }

    fn put_file(&mut self, path: &[u8], ino: Ino) {
        let state = self.files.get(ino);
        let kind = match &state.kind {
            Kind::File(data) => EntryKind::File(data.clone()),
            Kind::Directory(_) => EntryKind::Directory,
            Kind::Symlink(target) => EntryKind::Symlink(target.clone()),
            Kind::Device(device) => EntryKind::Device(*device),
        };
        self.put(path, entry(state, kind));
    }
}

fn entry(state: &State, kind: EntryKind<Data>) -> Entry<Data> {
    let State { kind: _, mode, uid, gid, xattrs } = state;
    Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() }
}

fn is_same_directory(before: &State, now: &State) -> bool {
    before.is_directory()
        && (before.mode, before.uid, before.gid, &before.xattrs) == (now.mode, now.uid, now.gid, &now.xattrs)
}

fn below(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}
