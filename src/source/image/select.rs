//! The selected entries of an image, and their paths in the new image.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};
use crate::tree::{Content, Entry, EntryKind, FileTree, Member, Resolved, Target, View, ViewLayer};

/// The location of a file's content: the index of the layer, and the index of the member in the layer.
pub(super) type Place = (usize, usize);

/// The selected entries by their new paths. A file is represented by the location of its content.
pub(super) struct Selection {
    entries: BTreeMap<Vec<u8>, Entry<Place>>,
    /// The selected contents: by layer, the indices of the members and their sizes in bytes.
    wanted: BTreeMap<usize, BTreeMap<usize, u64>>,
}

impl Selection {
    /// Selects the file or directory at `path` of the image with these layers. The content of a directory becomes that
    /// of `to`; a file becomes `to`, or goes into `to` when `to` ends in a slash.
    pub(super) fn of(lists: &[Vec<Member<u64>>], image: &str, path: &str, to: &str) -> Result<Selection> {
        let layers = lists.iter().map(|members| Some(ViewLayer { members, from_tree: false }));
        let view = View::of(layers);
        let Resolved { target, path: end, .. } = view.resolve(path);
        let dir = to.trim_matches('/').as_bytes();
        let mut places = HashMap::new();
        for (layer, members) in lists.iter().enumerate() {
            places.extend(
                members.iter().enumerate().map(|(at, member)| (std::ptr::from_ref(member), (layer, at))),
            );
        }
        let missing = || Error::NoSuchPath { image: image.to_owned(), path: path.to_owned() };
        let found: Vec<_> = match target {
            Target::Nothing | Target::Loop => return Err(missing()),
            Target::Entry(file) if !file.member.is_directory() => {
                let name = end.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let place = if to.ends_with('/') { below(dir, name) } else { dir.to_vec() };
                vec![(place, file)]
            }
            Target::Entry(_) | Target::Directory => {
                let start = if end.is_empty() { 0 } else { end.as_bytes().len() + 1 };
                let files =
                    view.below(&end).map(|file| (below(dir, &file.member.path.as_bytes()[start..]), file));
                files.collect()
            }
        };
        let mut selection = Selection { entries: BTreeMap::new(), wanted: BTreeMap::new() };
        let mut first = HashMap::new();
        for (place, file) in found {
            let Some(inode) = view.inode(file) else { continue };
            let source = std::ptr::from_ref(inode.member);
            let Entry { kind, mode, uid, gid, xattrs } = &inode.member.entry;
            let kind = match kind {
                EntryKind::File(size) => match first.get(&source) {
                    // Another name of a file that is selected already.
                    Some(known) => EntryKind::HardLink(Vec::clone(known)),
                    None => {
                        let at = places[&source];
                        first.insert(source, place.clone());
                        selection.wanted.entry(at.0).or_default().insert(at.1, *size);
                        EntryKind::File(at)
                    }
                },
                EntryKind::Directory | EntryKind::Opaque => EntryKind::Directory,
                EntryKind::Symlink(target) => EntryKind::Symlink(target.clone()),
                EntryKind::Device(device) => EntryKind::Device(*device),
                EntryKind::HardLink(_) | EntryKind::Whiteout => continue,
            };
            let entry = Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() };
            selection.entries.insert(place, entry);
        }
        Ok(selection)
    }

    /// Whether the content of a member of the layer is selected.
    pub(super) fn wants(&self, layer: usize) -> bool {
        self.wanted.contains_key(&layer)
    }

    /// The indices of a layer's members whose content is selected, with the sizes in bytes.
    pub(super) fn members_of(&self, layer: usize) -> BTreeMap<usize, u64> {
        self.wanted.get(&layer).cloned().unwrap_or_default()
    }

    /// The tree, with the contents that were read.
    pub(super) fn tree(&self, contents: &HashMap<Place, Content>) -> Result<FileTree> {
        let entries = self.entries.iter().filter_map(|(path, entry)| {
            let Entry { kind, mode, uid, gid, xattrs } = entry;
            let kind = match kind {
                EntryKind::File(place) => EntryKind::File(contents.get(place)?.clone()),
                EntryKind::HardLink(target) => EntryKind::HardLink(target.clone()),
                EntryKind::Symlink(target) => EntryKind::Symlink(target.clone()),
                EntryKind::Device(device) => EntryKind::Device(*device),
                EntryKind::Directory | EntryKind::Opaque => EntryKind::Directory,
                EntryKind::Whiteout => EntryKind::Whiteout,
            };
            let entry = Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() };
            Some((path.clone(), entry))
        });
        FileTree::of(entries)
    }
}

fn below(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}
