//! Applies a layer to a directory and to its index.
//!
//! The paths of members are resolved in the index, as [`View`](crate::tree::View) and the model of file operations
//! resolve them, so that no symbolic link on disk is ever followed. The metadata of directories come last: a mode may
//! forbid changes, and every change in a directory sets its time.
//!
//! * here: what a member does to the index. [`place`]: what it does to the directory.

mod place;

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::ops::Bound;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdir, openat};

pub(crate) use self::place::Form;
use self::place::Place;
use super::attributes::{self, Owners};
use super::directories::{is_below, is_too_long, named, split};
use super::index::{FileFact, Index, Node};
use crate::error::Error;
use crate::layer::LayerReader;
use crate::tree::{Entry, EntryKind, ImagePath, Member};

/// Makes the directory of a root, with the metadata that the index has for it.
pub(crate) fn make_root(root: &Path, index: &Index, owners: Owners) -> io::Result<()> {
    mkdir(root, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(CWD, root, flags, Mode::empty())?;
    let Some(node) = index.get(&[]) else { return Ok(()) };
    attributes::set(&dir, &node.entry, owners, true)?;
    Ok(rustix::fs::futimens(&dir, &attributes::times(node.mtime))?)
}

/// Makes the directory of a root whose owner in the index is root, outside of the user namespace in which this process's
/// user is root.
pub(crate) fn make_own_root(root: &Path, index: &Index) -> io::Result<()> {
    make_root(root, index, Owners::Recorded)?;
    // A directory with the set-group-id bit passes its group on.
    Ok(rustix::fs::chown(root, None, Some(rustix::process::getegid()))?)
}

/// Applies the members of a layer to the directory `root`, and to the index of the layers below it, which becomes that
/// of all. For files of mapped ids, it runs in their user namespace.
///
/// # Errors
/// The error of the first member that cannot be made, with its path; [`io::ErrorKind::InvalidData`] for a path outside
/// of the image, or beyond the limits of Linux, and for bytes that are not a layer.
pub(crate) fn unpack<R: BufRead>(
    layer: &mut LayerReader<R>,
    root: &Path,
    form: Form<'_>,
    owners: Owners,
    index: &mut Index,
) -> io::Result<()> {
    let place = Place::open(root, form, owners, index)?;
    let mut unpacking = Unpacking { layer, place, index, touched: BTreeSet::new() };
    while let Some(member) = unpacking.layer.next().map_err(broken)? {
        let Some(path) = checked(&member)? else { continue };
        unpacking.member(path, member.mtime, &member.entry).map_err(|error| named(path, error))?;
    }
    let Unpacking { place, index, .. } = unpacking;
    place.finish(index)
}

/// The path of a member, unless it is not a file of the image.
fn checked(member: &Member<u64>) -> io::Result<Option<&[u8]>> {
    let path = member.path.as_bytes();
    let invalid = |fault| Err(named(path, io::Error::new(io::ErrorKind::InvalidData, fault)));
    if member.is_outside() {
        return invalid("the layer has a path that leads out of the image");
    }
    if path.contains(&0) || is_too_long(path) {
        return invalid("the layer has a path that Linux does not accept");
    }
    // Reserved names have no meaning for readers, and no layer can delete such a file.
    let is_reserved = |name: &[u8]| name.starts_with(crate::tree::whiteout::PREFIX.as_bytes());
    Ok(Some(path).filter(|path| !path.split(|&byte| byte == b'/').any(is_reserved)))
}

/// The error of a reader of layers.
fn broken(error: Error) -> io::Error {
    match error {
        Error::LayerRead { source } => source,
        error => io::Error::other(error.with_causes()),
    }
}

struct Unpacking<'a, R: BufRead> {
    layer: &'a mut LayerReader<R>,
    place: Place<'a>,
    index: &'a mut Index,
    /// The paths that this layer has. A deletion in a layer is for the files of lower layers, never for its own.
    touched: BTreeSet<Vec<u8>>,
}

impl<R: BufRead> Unpacking<'_, R> {
    fn member(&mut self, path: &[u8], mtime: u64, entry: &Entry<u64>) -> io::Result<()> {
        let misplaced = || io::Error::new(io::ErrorKind::InvalidData, "the layer has it below a file");
        let path = self.index.resolve(path).ok_or_else(misplaced)?;
        if path.is_empty() && !matches!(entry.kind, EntryKind::Directory | EntryKind::Opaque) {
            return Ok(());
        }
        match &entry.kind {
            EntryKind::Whiteout => self.delete(&path),
            EntryKind::Opaque => self.clear(&path),
            EntryKind::Directory => self.directory(path, mtime, entry),
            EntryKind::HardLink(target) => self.hard_link(path, target),
            _ => self.file(path, mtime, entry),
        }
    }

    fn directory(&mut self, path: Vec<u8>, mtime: u64, entry: &Entry<u64>) -> io::Result<()> {
        if !self.index.is_directory(&path) {
            self.place.vacate(&path, self.index)?;
        }
        self.place.ensure(&path, self.index)?;
        self.index.put(&path, Node::new(described(entry, EntryKind::Directory), mtime));
        self.touched.insert(path);
        Ok(())
    }

    fn file(&mut self, path: Vec<u8>, mtime: u64, entry: &Entry<u64>) -> io::Result<()> {
        self.place.vacate(&path, self.index)?;
        self.place.ensure(split(&path).0, self.index)?;
        let (layer, place) = (&mut *self.layer, &mut self.place);
        let kind = entry.kind.try_map_content(|_| {
            place.file(&path, mtime, entry, |each| {
                let written =
                    layer.content(|piece| each(piece).map_err(|source| Error::LayerWrite { source }));
                written.map_err(|error| match error {
                    Error::LayerWrite { source } => source,
                    error => broken(error),
                })
            })
        })?;
        let node = Node::new(described(entry, kind), mtime);
        if !matches!(node.entry.kind, EntryKind::File(_)) {
            self.place.special(&path, &node)?;
        }
        self.index.put(&path, node);
        self.touched.insert(path);
        Ok(())
    }

    /// A hard link becomes a file of its own with the content of the other.
    fn hard_link(&mut self, path: Vec<u8>, target: &[u8]) -> io::Result<()> {
        let missing = || {
            let target = ImagePath::new(target);
            let fault = format!("it is a hard link to /{target}, which is not a file of the image");
            io::Error::new(io::ErrorKind::InvalidData, fault)
        };
        let target = self.index.resolve(target).ok_or_else(missing)?;
        let node = self.index.get(&target).filter(|node| !node.is_directory()).ok_or_else(missing)?;
        if target == path || is_below(&target, &path) {
            return if target == path { Ok(()) } else { Err(missing()) };
        }
        let node = node.clone();
        self.place.vacate(&path, self.index)?;
        self.place.ensure(split(&path).0, self.index)?;
        match node.entry.kind {
            EntryKind::File(_) => self.place.duplicate(&target, &path, &node)?,
            _ => self.place.special(&path, &node)?,
        }
        self.index.number(&target);
        let node = self.index.get(&target).cloned().unwrap_or(node);
        self.index.put(&path, node);
        self.touched.insert(path);
        Ok(())
    }

    /// Deletes what the lower layers have at a path and below it.
    fn delete(&mut self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() || self.index.get(path).is_none() {
            return Ok(());
        }
        if !self.is_touched(path) {
            self.place.delete(path, self.index)?;
            self.index.remove(path);
            return Ok(());
        }
        self.clear(path)?;
        if self.index.is_directory(path) && !self.touched.contains(path) {
            // Only this layer's files below it remain, which imply a directory without metadata.
            self.index.put(path, Node::implied());
        }
        Ok(())
    }

    /// Deletes what the lower layers have below a path.
    fn clear(&mut self, path: &[u8]) -> io::Result<()> {
        let mut children: Vec<Vec<u8>> = Vec::new();
        for (below, _) in self.index.below(path) {
            if !children.last().is_some_and(|child| is_below(below, child)) && split(below).0 == path {
                children.push(below.to_vec());
            }
        }
        if path.is_empty() {
            // The kernel ignores a marker in the root of a lower directory.
            return children.iter().try_for_each(|child| self.delete(child));
        }
        if !self.index.is_directory(path) {
            return Ok(());
        }
        self.place.ensure(path, self.index)?;
        self.place.hide(path)?;
        for child in &children {
            match self.is_touched(child) {
                true => self.delete(child)?,
                false => {
                    self.place.drop_hidden(child)?;
                    self.index.remove(child);
                }
            }
        }
        Ok(())
    }

    /// Whether this layer has an entry at a path or below it.
    fn is_touched(&self, path: &[u8]) -> bool {
        if self.touched.contains(path) {
            return true;
        }
        let start = [path, b"/"].concat();
        let mut from = self.touched.range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Unbounded));
        from.next().is_some_and(|next| next.starts_with(&start))
    }
}

/// The entry as it is in the index: without the attributes that no root has.
fn described(entry: &Entry<u64>, kind: EntryKind<FileFact>) -> Entry<FileFact> {
    let xattrs = attributes::kept(entry);
    let mode = if matches!(kind, EntryKind::Symlink(_)) { 0o777 } else { entry.mode };
    Entry { kind, mode, uid: entry.uid, gid: entry.gid, xattrs }
}
