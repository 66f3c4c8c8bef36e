//! [`FileTree`]: the files of a layer, from any source.

use std::collections::{BTreeMap, btree_map};

use super::entry::{Entry, EntryKind};
use super::whiteout;
use crate::error::{Error, Result};

/// The entries of a layer by their path in the image, in the order of the paths' bytes.
///
/// A path has neither a leading nor a trailing `/`, as in `var/task/app.py`. Parents may be missing: the writer adds
/// them.
#[derive(Clone, Debug, Default)]
pub struct FileTree {
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl FileTree {
    /// A tree without entries.
    pub fn new() -> FileTree {
        FileTree::default()
    }

    /// Puts `entry` at `path`, and returns the former entry.
    ///
    /// # Errors
    /// [`Error::ImagePath`] for a path (or a link's target) that is empty or contains a NUL, for a path with an empty,
    /// `.` or `..` component, which readers of layers resolve differently, and for a component that begins with `.wh.`,
    /// which readers take for a deletion.
    pub fn insert(&mut self, path: impl Into<Vec<u8>>, entry: Entry) -> Result<Option<Entry>> {
        let path = path.into();
        if let Some(fault) = fault(&path, &entry) {
            return Err(image_path(&path, fault));
        }
        Ok(self.entries.insert(path, entry))
    }

    /// A tree of these entries; the later of two entries with the same path wins. Sorted entries cost the least.
    ///
    /// # Errors
    /// As [`insert`](FileTree::insert).
    pub fn of(entries: impl IntoIterator<Item = (Vec<u8>, Entry)>) -> Result<FileTree> {
        let mut wrong = None;
        let sound = entries.into_iter().inspect(|(path, entry)| {
            if let (None, Some(fault)) = (&wrong, fault(path, entry)) {
                wrong = Some(image_path(path, fault));
            }
        });
        let entries = sound.collect();
        wrong.map_or(Ok(FileTree { entries }), Err)
    }

    /// Puts all entries of `other` into this tree; if both have an entry at a path, that of `other` wins.
    pub fn extend(&mut self, mut other: FileTree) {
        self.entries.append(&mut other.entries);
    }

    /// The tree with every entry moved below the directory `to`.
    ///
    /// # Errors
    /// When `to` cannot be a path in an image.
    pub fn under(self, to: &[u8]) -> Result<FileTree> {
        if to.is_empty() {
            return Ok(self);
        }
        let directory = FileTree::of([(to.to_vec(), Entry::directory())])?;
        let moved = self.entries.into_iter().map(|(path, mut entry)| {
            if let EntryKind::HardLink(target) = &mut entry.kind {
                *target = [to, b"/", &target[..]].concat();
            }
            ([to, b"/", &path].concat(), entry)
        });
        Ok(FileTree { entries: directory.entries.into_iter().chain(moved).collect() })
    }

    /// Puts the content of each file with hard links at the first of its paths, where readers of a layer expect it.
    pub fn settle_links(&mut self) {
        let is_late = |(path, entry): (&Vec<u8>, &Entry)| match &entry.kind {
            EntryKind::HardLink(target) if target > path => Some((target.clone(), path.clone())),
            _ => None,
        };
        // The first path of each target, because entries are in order.
        let mut first: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (target, path) in self.entries.iter().filter_map(is_late) {
            first.entry(target).or_insert(path);
        }
        for (target, path) in &first {
            if let Some(entry) = self.entries.remove(target) {
                let link = Entry { kind: EntryKind::HardLink(path.clone()), ..entry.clone() };
                self.entries.insert(path.clone(), entry);
                self.entries.insert(target.clone(), link);
            }
        }
        for (path, entry) in &mut self.entries {
            if let EntryKind::HardLink(target) = &mut entry.kind
                && let Some(settled) = first.get(target).filter(|settled| *settled != path)
            {
                target.clone_from(settled);
            }
        }
    }

    /// The entry at `path`.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Removes the entry at `path`, but not the entries below it.
    pub fn remove(&mut self, path: &[u8]) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// All entries, in the order of their paths' bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_slice(), entry))
    }

    /// All entries, mutable, in the order of their paths' bytes.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&[u8], &mut Entry)> {
        self.entries.iter_mut().map(|(path, entry)| (path.as_slice(), entry))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tree has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl IntoIterator for FileTree {
    type Item = (Vec<u8>, Entry);
    type IntoIter = btree_map::IntoIter<Vec<u8>, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

pub(crate) fn image_path(path: &[u8], fault: &'static str) -> Error {
    Error::ImagePath { path: String::from_utf8_lossy(path).into_owned(), fault }
}

fn fault(path: &[u8], entry: &Entry) -> Option<&'static str> {
    if path.contains(&0) {
        return Some("it contains a NUL byte");
    }
    if let Some(fault) = wrong_component(path) {
        return Some(fault);
    }
    match &entry.kind {
        EntryKind::Symlink(target) if target.is_empty() || target.contains(&0) => {
            Some("the target of this link is empty or contains a NUL byte")
        }
        EntryKind::HardLink(target) if wrong_component(target).is_some() => {
            Some("the target of this hard link is not a path in a layer")
        }
        _ => None,
    }
}

/// A component that a path of an entry cannot have.
fn wrong_component(path: &[u8]) -> Option<&'static str> {
    if is_plain(path) {
        return None;
    }
    path.split(|&byte| byte == b'/').find_map(|name| match name {
        b"" | b"." | b".." => Some("it has an empty, `.` or `..` component"),
        name if name.starts_with(whiteout::PREFIX.as_bytes()) => {
            Some("it has a component that begins with `.wh.`, which marks a deletion in layers")
        }
        _ => None,
    })
}

/// Whether no component of a path can be empty or consist of dots. This holds for most paths, and the check is
/// vectorised.
fn is_plain(path: &[u8]) -> bool {
    let [first, rest @ ..] = path else { return false };
    let starts_oddly = |byte: u8| byte == b'/' || byte == b'.';
    let pairs = path.iter().zip(rest);
    let is_odd = pairs.fold(false, |odd, (&slash, &next)| odd | ((slash == b'/') & starts_oddly(next)));
    !is_odd && !starts_oddly(*first) && path.last() != Some(&b'/')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tree::Content;

    #[test]
    fn paths_that_readers_resolve_differently_are_refused() {
        let mut tree = FileTree::new();
        for path in ["", "/", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "a/../b", "a\0b"] {
            let error = tree.insert(path, Entry::directory()).unwrap_err();
            assert!(matches!(error, Error::ImagePath { .. }), "{path:?}: {error}");
        }
        for path in ["a", ".a", "..a", "a/...", "a b/ ", "\u{e9}", "a.wh.b"] {
            tree.insert(path, Entry::directory()).unwrap();
        }
        tree.insert(b"\xff\xfe", Entry::directory()).unwrap();
        assert_eq!(tree.len(), 8);
    }

    #[test]
    fn a_name_that_marks_a_deletion_is_refused() {
        let mut tree = FileTree::new();
        for path in [".wh.a", "a/.wh.b", "a/.wh.b/c", ".wh..wh..opq", "a/.wh."] {
            let error = tree.insert(path, Entry::directory()).unwrap_err().to_string();
            assert!(error.contains("marks a deletion"), "{error}");
        }
        tree.insert("a/b", Entry::new(EntryKind::Whiteout, 0)).unwrap();
    }

    #[test]
    fn an_empty_link_target_or_one_with_a_nul_is_refused() {
        let mut tree = FileTree::new();
        assert!(tree.insert("a", Entry::symlink("")).is_err());
        assert!(tree.insert("a", Entry::symlink("b\0")).is_err());
        for target in ["..", "/etc/passwd", "../../x", "a//b/"] {
            tree.insert("a", Entry::symlink(target)).unwrap();
        }
    }

    #[test]
    fn the_first_path_of_a_file_has_its_content() {
        let link = |target: &str| Entry::new(EntryKind::HardLink(target.into()), 0o644);
        let file = Entry::file(Content::Bytes(Arc::from(*b"x")), false);
        let entries =
            [("a", link("m")), ("b", link("m")), ("m", file.clone()), ("z", link("m")), ("other", file)];
        let entries = entries.map(|(path, entry)| (path.as_bytes().to_vec(), entry));
        let mut tree = FileTree::of(entries).unwrap();
        tree.settle_links();
        let kind = |path: &[u8]| match &tree.get(path).unwrap().kind {
            EntryKind::HardLink(target) => String::from_utf8(target.clone()).unwrap(),
            EntryKind::File(_) => "content".to_owned(),
            other => panic!("{other:?}"),
        };
        let kinds = ["a", "b", "m", "z", "other"].map(|path| kind(path.as_bytes()));
        assert_eq!(kinds, ["content", "a", "a", "a", "content"]);
    }

    #[test]
    fn entries_are_ordered_by_bytes_and_the_later_tree_wins() {
        let mut tree = FileTree::new();
        for path in ["a/x", "a-b", "a", "B"] {
            assert!(tree.insert(path, Entry::directory()).unwrap().is_none());
        }
        let mut other = FileTree::new();
        other.insert("a-b", Entry::file(Content::Bytes(Arc::from(*b"new")), true)).unwrap();
        tree.extend(other);
        let paths: Vec<&[u8]> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [&b"B"[..], b"a", b"a-b", b"a/x"]);
        assert_eq!(tree.get(b"a-b").unwrap().mode, 0o755);
        assert!(tree.insert("a-b", Entry::directory()).unwrap().is_some());
    }
}
