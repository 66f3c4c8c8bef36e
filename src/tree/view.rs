//! [`View`]: layers laid over each other, with the files that a container sees and those that it does not.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::entry::EntryKind;
use super::member::Member;
use super::path::ImagePath;

/// The maximum number of links that Linux follows in one path.
const MAX_LINKS: usize = 40;

/// The maximum number of names followed in one path, and of bytes in the target of a link, as in Linux. The limits
/// bound the time that hostile links take.
const MAX_NAMES: usize = 4096;
const MAX_TARGET: usize = 4096;

/// The minimum ratio of the members of a tree to the entries below it for [`View::lay`], which inspects each of these
/// entries.
const MUCH: usize = 4;

/// The files that a container sees of some layers. `C` describes a file's content.
#[derive(Debug)]
pub struct View<'a, C> {
    seen: BTreeSet<ByPath<'a, C>>,
    /// By the path of a hard link: the entry that it names, which may have lost its other names in a later layer.
    linked: BTreeMap<&'a [u8], Seen<'a, C>>,
    hidden: Vec<Hidden<'a, C>>,
    /// Whether each layer is known, and no entry is below something other than a directory. Readers disagree on the
    /// location of such an entry.
    pub complete: bool,
}

/// An entry in the order of the paths' bytes. A map from path to entry would take twice the memory.
#[derive(Debug)]
struct ByPath<'a, C>(Seen<'a, C>);

/// A layer of a [`View`].
#[derive(Debug)]
pub struct ViewLayer<'a, C> {
    /// Its members, in the order of its archive.
    pub members: &'a [Member<C>],
    /// Whether the members are those of a tree: each path once and after its directory, and none outside the image.
    pub from_tree: bool,
}

/// An entry, and the layer that it is from.
#[derive(Debug)]
pub struct Seen<'a, C> {
    /// The layer's number from the lowest, which is 0.
    pub layer: usize,
    /// The entry.
    pub member: &'a Member<C>,
}

/// A file that a higher layer replaces or deletes.
#[derive(Debug)]
pub struct Hidden<'a, C> {
    /// The file.
    pub file: Seen<'a, C>,
    /// The number of the higher layer.
    pub by: usize,
    /// Whether another entry has its path.
    pub replaced: bool,
}

/// The result of following a path.
#[derive(Debug)]
pub enum Target<'a, C> {
    /// This entry.
    Entry(Seen<'a, C>),
    /// A directory without an entry in any layer, as the root.
    Directory,
    /// No entry at this path.
    Nothing,
    /// Unknown: the links go in a circle, or there are more than Linux follows.
    Loop,
}

/// A path that was followed from link to link.
#[derive(Debug)]
pub struct Resolved<'a, C> {
    /// The target.
    pub target: Target<'a, C>,
    /// The path of the target, without a leading slash, whether it exists or not.
    pub path: ImagePath,
    /// Whether a `..` on the way leads above the root, where the kernel stays at the root.
    pub leaves_root: bool,
}

// Derived implementations would require `C: Clone` and `C: Copy`.
impl<C> Clone for ViewLayer<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for ViewLayer<'_, C> {}
impl<C> Clone for Seen<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Seen<'_, C> {}
impl<C> Clone for Hidden<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Hidden<'_, C> {}
impl<C> Clone for Target<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Target<'_, C> {}

impl<'a, C> ByPath<'a, C> {
    fn path(&self) -> &'a [u8] {
        self.0.member.path.as_bytes()
    }
}
impl<C> PartialEq for ByPath<'_, C> {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}
impl<C> Eq for ByPath<'_, C> {}
impl<C> PartialOrd for ByPath<'_, C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<C> Ord for ByPath<'_, C> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path().cmp(other.path())
    }
}
impl<C> Borrow<[u8]> for ByPath<'_, C> {
    fn borrow(&self) -> &[u8] {
        self.path()
    }
}

impl<'a, C> View<'a, C> {
    /// The layers laid over each other, the lowest first; `None` for one that is not known.
    pub fn of(layers: impl IntoIterator<Item = Option<ViewLayer<'a, C>>>) -> View<'a, C> {
        let (seen, linked) = (BTreeSet::new(), BTreeMap::new());
        let mut view = View { seen, linked, hidden: Vec::new(), complete: true };
        for (number, layer) in layers.into_iter().enumerate() {
            let Some(layer) = layer else {
                view.complete = false;
                continue;
            };
            if view.lay(number, layer) {
                continue;
            }
            // A layer deletes entries of lower layers, never its own.
            layer.members.iter().for_each(|member| view.delete(number, member));
            let files = layer.members.iter().filter(|member| !member.is_reserved());
            files.for_each(|member| view.put(Seen { layer: number, member }));
        }
        view.complete = view.complete && view.is_tree();
        view.keep_linked();
        view
    }

    /// Puts a whole tree over the entries below it, if it is far larger than they are and deletes nothing.
    fn lay(&mut self, number: usize, layer: ViewLayer<'a, C>) -> bool {
        let members = layer.members;
        if !layer.from_tree || members.len() < MUCH * (self.seen.len() + 1) {
            return false;
        }
        if members.iter().any(Member::is_reserved) {
            return false;
        }
        let file = |member: &'a Member<C>| ByPath(Seen { layer: number, member });
        let mut new: BTreeSet<_> = members.iter().map(file).collect();
        let stays = |old: &ByPath<'a, C>| {
            let path = old.path();
            let mut dirs = std::iter::successors(parent(path), |dir| parent(dir));
            dirs.all(|dir| new.get(dir).is_none_or(|dir| dir.0.member.is_directory()))
                && new.get(path).is_none_or(|new| new.0.member.is_directory() && old.0.member.is_directory())
        };
        let is_clear = self.seen.iter().all(stays);
        if is_clear {
            std::mem::swap(&mut self.seen, &mut new);
            for below in new {
                // An entry of the tree stays.
                self.seen.insert(below);
            }
        }
        is_clear
    }

    fn delete(&mut self, layer: usize, member: &'a Member<C>) {
        let path = member.path.as_bytes();
        match &member.entry.kind {
            EntryKind::Opaque => self.hide_below(path, layer),
            EntryKind::Whiteout => {
                self.hide_below(path, layer);
                if let Some(ByPath(file)) = self.seen.take(path) {
                    self.hidden.push(Hidden { file, by: layer, replaced: false });
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, file: Seen<'a, C>) {
        let path = file.member.path.as_bytes();
        let is_directory = file.member.is_directory();
        // Only a directory can replace the root.
        if file.member.is_outside() || (path.is_empty() && !is_directory) {
            return;
        }
        if let EntryKind::HardLink(target) = &file.member.entry.kind {
            match self.named(target) {
                Some(inode) => self.linked.insert(path, inode),
                None => self.linked.remove(path),
            };
        }
        let old = self.seen.replace(ByPath(file)).map(|old| old.0);
        // A directory that appears again keeps its contents; any other entry replaces a whole tree. The lowest layer
        // has nothing below it.
        let was_directory = old.is_some_and(|old| old.member.is_directory());
        if !is_directory && (file.layer > 0 || was_directory) {
            self.hide_below(path, file.layer);
        }
        if let Some(old) = old
            && old.member.is_file()
            && old.layer < file.layer
        {
            self.hidden.push(Hidden { file: old, by: file.layer, replaced: true });
        }
    }

    /// Removes the entries below a directory. Entries of the layer itself are not listed as hidden: the layer replaced
    /// them itself.
    fn hide_below(&mut self, dir: &[u8], layer: usize) {
        let below: Vec<&'a [u8]> = self.below(dir).map(|file| file.member.path.as_bytes()).collect();
        for path in below {
            if let Some(ByPath(file)) = self.seen.take(path)
                && file.layer < layer
            {
                self.hidden.push(Hidden { file, by: layer, replaced: false });
            }
        }
    }

    /// The entry that a hard link to this path names, in the layers so far.
    fn named(&self, path: &[u8]) -> Option<Seen<'a, C>> {
        let by_link = || {
            let slash = path.iter().rposition(|&byte| byte == b'/')?;
            let dir = self.resolve(&path[..slash]).path;
            self.get([dir.as_bytes(), &path[slash..]].concat())
        };
        let inode = self.inode(self.get(path).or_else(by_link)?)?;
        (!inode.member.is_directory()).then_some(inode)
    }

    /// Whether each entry that is below another is below a directory.
    fn is_tree(&self) -> bool {
        let mut before: &[u8] = &[];
        self.seen.iter().map(ByPath::path).all(|path| {
            // Directories that also contain the previous path have been checked with that path.
            let is_new = |dir: &&[u8]| before.strip_prefix(*dir).is_none_or(|rest| !rest.starts_with(b"/"));
            let dirs = std::iter::successors(parent(path), |dir| parent(dir));
            let nearest = dirs.take_while(is_new).find_map(|dir| self.get(dir));
            before = path;
            nearest.is_none_or(|dir| dir.member.is_directory())
        })
    }

    /// A file that has lost a name is still seen if a visible hard link names it.
    fn keep_linked(&mut self) {
        let is_seen = |path: &[u8]| self.get(path).is_some_and(|file| file.member.is_hard_link());
        let links = self.linked.iter().filter(|(path, _)| is_seen(path));
        let kept: BTreeSet<*const Member<C>> =
            links.map(|(_, file)| std::ptr::from_ref(file.member)).collect();
        self.hidden.retain(|hidden| !kept.contains(&std::ptr::from_ref(hidden.file.member)));
    }

    /// The entry at exactly this path, without a slash at either end.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<Seen<'a, C>> {
        self.seen.get(path.as_ref()).map(|file| file.0)
    }

    /// The entry that `file` is a name of: for a hard link the entry that it was linked to, even if that has lost its
    /// other names; otherwise `file` itself.
    pub fn inode(&self, file: Seen<'a, C>) -> Option<Seen<'a, C>> {
        match file.member.entry.kind {
            EntryKind::HardLink(_) => self.linked.get(file.member.path.as_bytes()).copied(),
            _ => Some(file),
        }
    }

    /// All entries that a container sees, in the order of the paths' bytes.
    pub fn iter(&self) -> impl Iterator<Item = Seen<'a, C>> + '_ {
        self.seen.iter().map(|file| file.0)
    }

    /// The entries below this directory, a path without a slash at either end.
    pub fn below<P: AsRef<[u8]>>(&self, dir: P) -> impl Iterator<Item = Seen<'a, C>> + use<'_, 'a, C, P> {
        let start = match dir.as_ref() {
            b"" => Vec::new(),
            dir => [dir, b"/"].concat(),
        };
        // The root may have an entry, which is not below itself.
        let from = self.seen.range::<[u8], _>((Bound::Excluded(start.as_slice()), Bound::Unbounded));
        from.take_while(move |file| file.path().starts_with(&start)).map(|file| file.0)
    }

    /// The files of the layers that a container does not see.
    pub fn hidden(&self) -> &[Hidden<'a, C>] {
        &self.hidden
    }

    /// Follows a path as the kernel would, through links in its middle and at its end. It may begin with a slash.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Resolved<'a, C> {
        let mut walk = Walk { view: self, target: Target::Directory, end: Vec::new(), leaves_root: false };
        if !walk.run(path.as_ref()) {
            walk.target = Target::Loop;
        }
        let Walk { target, end, leaves_root, .. } = walk;
        Resolved { target, path: ImagePath::new(&end), leaves_root }
    }

    /// The regular file that a path leads to; for a hard link the file that it was linked to.
    pub fn file(&self, path: impl AsRef<[u8]>) -> Option<Seen<'a, C>> {
        let Target::Entry(found) = self.resolve(path).target else { return None };
        self.inode(found).filter(|file| file.member.is_file())
    }
}

/// The state while a path is followed.
struct Walk<'v, 'a, C> {
    view: &'v View<'a, C>,
    target: Target<'a, C>,
    end: Vec<u8>,
    leaves_root: bool,
}

impl<C> Walk<'_, '_, C> {
    /// Follows the path to its end; `false` if that exceeds the limits of Linux.
    fn run(&mut self, path: &[u8]) -> bool {
        let mut ahead: Vec<&[u8]> = path.rsplit(|&byte| byte == b'/').collect();
        let (mut names, mut links) = (0, 0);
        while let Some(part) = ahead.pop() {
            match part {
                b"" | b"." => continue,
                b".." => {
                    self.go_up();
                    continue;
                }
                _ => {}
            }
            names += 1;
            if names > MAX_NAMES {
                return false;
            }
            let dir = self.end.len();
            if dir > 0 {
                self.end.push(b'/');
            }
            self.end.extend_from_slice(part);
            if matches!(self.target, Target::Nothing) {
                continue;
            }
            let Some(found) = self.view.get(&self.end) else {
                let is_parent = self.view.below(&self.end).next().is_some();
                self.target = if is_parent { Target::Directory } else { Target::Nothing };
                continue;
            };
            self.target = Target::Entry(found);
            match self.view.inode(found).map(|inode| &inode.member.entry.kind) {
                Some(EntryKind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS || target.len() > MAX_TARGET {
                        return false;
                    }
                    self.end.truncate(if target.starts_with(b"/") { 0 } else { dir });
                    self.target = self.here();
                    ahead.extend(target.rsplit(|&byte| byte == b'/'));
                }
                Some(EntryKind::Directory) => {}
                _ if ahead.iter().any(|part| !matches!(*part, b"" | b".")) => self.target = Target::Nothing,
                _ => {}
            }
        }
        true
    }

    fn go_up(&mut self) {
        self.leaves_root |= self.end.is_empty();
        self.end.truncate(self.end.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
        if !matches!(self.target, Target::Nothing) {
            self.target = self.here();
        }
    }
}

impl<'a, C> Walk<'_, 'a, C> {
    /// The directory that the walk is in.
    fn here(&self) -> Target<'a, C> {
        self.view.get(&self.end).map_or(Target::Directory, Target::Entry)
    }
}

/// The parent directory of a path, unless it is the root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|&byte| byte == b'/').map(|slash| &path[..slash])
}

#[cfg(test)]
mod tests;
