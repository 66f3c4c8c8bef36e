//! A member of a layer's archive: an entry and its path.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, EntryKind};
use super::path::ImagePath;
use super::whiteout;

/// A member of a layer: an entry and its path. `C` describes a file's content.
///
/// The marker of an opaque directory is a separate member, with the directory's path and the kind
/// [`Opaque`](super::EntryKind::Opaque); its mode and owner are the marker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member<C> {
    /// The path in the image, without a slash at either end.
    #[serde(rename = "p")]
    pub path: ImagePath,
    /// The entry.
    #[serde(rename = "e")]
    pub entry: Entry<C>,
    /// The modification time, in seconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "super::entry::is_zero")]
    pub mtime: u64,
}

impl<C> Member<C> {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The same member, with another description of a file's content.
    pub fn map_content<D>(self, content: impl FnOnce(&C) -> D) -> Member<D> {
        let Member { path, entry, mtime } = self;
        let Entry { kind, mode, uid, gid, xattrs } = entry;
        let kind = kind.map_content(content);
        Member { path, entry: Entry { kind, mode, uid, gid, xattrs }, mtime }
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.entry.kind, EntryKind::File(_))
    }

    /// Whether it is a directory. The marker of an opaque one is not.
    pub fn is_directory(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Directory)
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Symlink(_))
    }

    /// Whether it is a hard link.
    pub fn is_hard_link(&self) -> bool {
        matches!(self.entry.kind, EntryKind::HardLink(_))
    }

    /// The target, if it is a link.
    pub fn target(&self) -> Option<ImagePath> {
        match &self.entry.kind {
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => Some(ImagePath::new(target)),
            _ => None,
        }
    }

    /// Whether its path contains a `..`, which a reader must not follow.
    pub fn is_outside(&self) -> bool {
        let path: &str = &self.path;
        path.contains("..") && path.split('/').any(|part| part == "..")
    }

    /// Whether it hides entries of lower layers.
    pub fn is_deletion(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Whiteout | EntryKind::Opaque)
    }

    /// Whether its name in the archive is reserved: the name of a deletion, or one without a meaning. It is then not a
    /// file of the image.
    pub fn is_reserved(&self) -> bool {
        self.is_deletion() || self.name().starts_with(whiteout::PREFIX)
    }

    /// Its name in the archive: the path, or the reserved name of a deletion, as `a/.wh.b`.
    pub fn archive_name(&self) -> Cow<'_, str> {
        let name = match &self.entry.kind {
            EntryKind::Whiteout => whiteout::whiteout_name(self.path.as_bytes()),
            EntryKind::Opaque => whiteout::opaque_name(self.path.as_bytes()),
            _ => return Cow::Borrowed(self.path.as_str()),
        };
        Cow::Owned(ImagePath::new(&name).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, kind: EntryKind<()>) -> Member<()> {
        Member { path: path.into(), entry: Entry::new(kind, 0o644), mtime: 0 }
    }

    #[test]
    fn deletions_have_reserved_names() {
        for (path, kind, name) in [
            ("a/b", EntryKind::Whiteout, "a/.wh.b"),
            ("a", EntryKind::Opaque, "a/.wh..wh..opq"),
            ("", EntryKind::Opaque, ".wh..wh..opq"),
        ] {
            let member = member(path, kind);
            assert!(member.is_deletion() && member.is_reserved());
            assert_eq!(member.archive_name(), name);
        }
        let aufs = member("a/.wh..wh.plnk", EntryKind::File(()));
        assert!(!aufs.is_deletion() && aufs.is_reserved());
        assert_eq!(member("a/b", EntryKind::File(())).archive_name(), "a/b");
    }

    #[test]
    fn two_dots_lead_outside() {
        let is_outside = |path| member(path, EntryKind::File(())).is_outside();
        assert!(["..", "../a", "a/../b", "a/.."].into_iter().all(is_outside));
        assert!(!["a", "..a", "a..b/c", "a/..."].into_iter().any(is_outside));
    }
}
