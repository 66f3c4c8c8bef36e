//! The selected entries of an image, and their paths in the new image.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};
use crate::tree::{Content, Entry, EntryKind, FileTree, Member, Resolved, Seen, Target, View, ViewLayer};

/// The location of a file's content: the index of the layer, and the index of the member in the layer.
pub(in crate::source) type Place = (usize, usize);

/// The members of the layers of an image, laid over each other.
pub(in crate::source) struct ImageView<'l> {
    pub view: View<'l, u64>,
    places: HashMap<*const Member<u64>, Place>,
}

/// The selected entries by their new paths. A file is represented by the location of its content.
#[derive(Default)]
pub(in crate::source) struct Selection {
    entries: BTreeMap<Vec<u8>, Entry<Place>>,
    /// The selected contents: by layer, the indices of the members and their sizes in bytes.
    wanted: BTreeMap<usize, BTreeMap<usize, u64>>,
    /// The new path of each selected content.
    first: HashMap<Place, Vec<u8>>,
}

impl<'l> ImageView<'l> {
    /// The view of the layers with these members, the lowest first.
    pub fn of(lists: &'l [Vec<Member<u64>>]) -> ImageView<'l> {
        let layers = lists.iter().map(|members| Some(ViewLayer { members, from_tree: false }));
        let mut places = HashMap::new();
        for (layer, members) in lists.iter().enumerate() {
            let numbered = members.iter().enumerate();
            places.extend(numbered.map(|(at, member)| (std::ptr::from_ref(member), (layer, at))));
        }
        ImageView { view: View::of(layers), places }
    }
}

impl Selection {
    /// Selects the file or directory at `path` of the image with these layers. The content of a directory becomes that
    /// of `to`; a file becomes `to`, or goes into `to` when `to` ends in a slash.
    pub(super) fn of(lists: &[Vec<Member<u64>>], image: &str, path: &str, to: &str) -> Result<Selection> {
        let of = ImageView::of(lists);
        let Resolved { target, path: end, .. } = of.view.resolve(path);
        let dir = to.trim_matches('/').as_bytes();
        let missing = || Error::NoSuchPath { image: image.to_owned(), path: path.to_owned() };
        let mut selection = Selection::default();
        match target {
            Target::Nothing | Target::Loop => return Err(missing()),
            Target::Entry(file) if !file.member.is_directory() => {
                let name = end.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let place = if to.ends_with('/') { below(dir, name) } else { dir.to_vec() };
                selection.take(&of, place, file);
            }
            Target::Entry(_) | Target::Directory => {
                let start = if end.is_empty() { 0 } else { end.as_bytes().len() + 1 };
                for file in of.view.below(&end) {
                    selection.take(&of, below(dir, &file.member.path.as_bytes()[start..]), file);
                }
            }
        }
        Ok(selection)
    }

    /// Selects an entry for a new path; an entry that was selected for this path before is replaced. Another name of a
    /// file that is selected already becomes a hard link.
    pub fn take(&mut self, of: &ImageView<'_>, place: Vec<u8>, file: Seen<'_, u64>) {
        let Some(inode) = of.view.inode(file) else { return };
        let Entry { kind, mode, uid, gid, xattrs } = &inode.member.entry;
        let kind = match kind {
            EntryKind::File(size) => {
                let at = of.places[&std::ptr::from_ref(inode.member)];
                match self.first.get(&at).filter(|first| self.holds(first, at)) {
                    Some(known) => EntryKind::HardLink(Vec::clone(known)),
                    None => {
                        self.first.insert(at, place.clone());
                        self.wanted.entry(at.0).or_default().insert(at.1, *size);
                        EntryKind::File(at)
                    }
                }
            }
            EntryKind::Directory | EntryKind::Opaque => EntryKind::Directory,
            EntryKind::Symlink(target) => EntryKind::Symlink(target.clone()),
            EntryKind::Device(device) => EntryKind::Device(*device),
            EntryKind::HardLink(_) | EntryKind::Whiteout => return,
        };
        // The file itself, selected once more for the same path.
        if matches!(&kind, EntryKind::HardLink(target) if *target == place) {
            return;
        }
        let entry = Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() };
        self.entries.insert(place, entry);
    }

    /// Whether the entry at a new path is this content.
    fn holds(&self, path: &[u8], at: Place) -> bool {
        self.entries
            .get(path)
            .is_some_and(|entry| matches!(entry.kind, EntryKind::File(known) if known == at))
    }

    /// Whether the content of a member of the layer is selected.
    pub fn wants(&self, layer: usize) -> bool {
        self.wanted.contains_key(&layer)
    }

    /// The indices of a layer's members whose content is selected, with the sizes in bytes.
    pub fn members_of(&self, layer: usize) -> BTreeMap<usize, u64> {
        self.wanted.get(&layer).cloned().unwrap_or_default()
    }

    /// The tree, with the contents that were read.
    pub fn tree(&self, contents: &HashMap<Place, Content>) -> Result<FileTree> {
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
