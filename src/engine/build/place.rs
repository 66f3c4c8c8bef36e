//! Decides the paths and owners of files that `COPY`, `ADD` and `WORKDIR` put into the image so far.

use super::accounts::{Accounts, Owner};
use super::follow::{Places, directory, parents};
use crate::error::Result;
use crate::scan::ScannedFile;
use crate::source::{Placing, Shape};
use crate::tree::{Entry, EntryKind, FileTree, Target, View};

/// Directories of AWS's bases, whose layers are not looked at.
const OF_LAMBDA: [&[u8]; 4] = [b"var", b"var/task", b"var/runtime", b"opt"];

/// The image below a layer.
pub(super) struct Below<'v, 'm, F> {
    pub view: &'v View<'m, ScannedFile<F>>,
    /// Whether the layers of a base of AWS are missing in the view.
    pub on_aws: bool,
    pub accounts: &'v Accounts,
}

impl<F> Below<'_, '_, F> {
    /// The image's own directory at a path without links.
    fn directory(&self, path: &[u8]) -> Option<Entry> {
        directory(self.view, path)
            .or_else(|| (self.on_aws && OF_LAMBDA.contains(&path)).then(Entry::directory))
    }

    /// Whether a path without links is a directory, which need not have an entry.
    fn is_directory(&self, path: &[u8]) -> bool {
        path.is_empty() || self.directory(path).is_some() || self.view.below(path).next().is_some()
    }

    fn is_file(&self, path: &[u8]) -> bool {
        self.view.get(path).is_some_and(|found| {
            !found.member.is_directory() && !matches!(found.member.entry.kind, EntryKind::Symlink(_))
        })
    }
}

/// The layer's tree: each entry where the image leads, with its owner, and the directories above it. Empty if nothing
/// changes.
pub(super) fn place<F>(tree: FileTree, placing: &Placing, below: &Below<'_, '_, F>) -> Result<FileTree> {
    let owner = match &placing.owner {
        None => None,
        Some(text) => {
            Some(below.accounts.owner(text).map_err(|(fault, hint)| placing.origin.failed(fault, hint))?)
        }
    };
    let mut placed = Placed { below, placing, owner, tree: FileTree::new() };
    let (to, tree) = placed.target(tree)?;
    placed.put(&to, tree)?;
    Ok(placed.tree)
}

struct Placed<'p, 'v, 'm, F> {
    below: &'p Below<'v, 'm, F>,
    placing: &'p Placing,
    owner: Option<Owner>,
    tree: FileTree,
}

impl<F> Placed<'_, '_, '_, F> {
    /// The target's path as the instruction has it, and the tree with it.
    fn target(&self, tree: FileTree) -> Result<(Vec<u8>, FileTree)> {
        let Placing { to, shape, origin, link, .. } = self.placing;
        let shown = || format!("/{}", to.escape_ascii());
        let end = if *link { to.clone() } else { self.end(to) };
        let is_directory = !*link && self.below.is_directory(&end);
        match shape {
            Shape::Directory if !*link && self.below.is_file(&end) => {
                let fault =
                    format!("`{}` is a file in the image, so no directory can be copied onto it", shown());
                Err(origin.failed(fault, None))
            }
            Shape::Several if !is_directory => {
                let fault = format!(
                    "several files are copied to `{}`, which is not a directory of the image",
                    shown()
                );
                Err(origin.failed(fault, Some(format!("write `{}/`", shown()))))
            }
            Shape::File(name) if !is_directory => {
                // The file is the target itself, or what a dangling link names.
                let target = if *link { to.clone() } else { self.dangling(to).unwrap_or_else(|| to.clone()) };
                let mut renamed = FileTree::new();
                let name = [to, &b"/"[..], name].concat();
                for (path, entry) in tree {
                    let path = if path == *name.strip_prefix(b"/").filter(|_| to.is_empty()).unwrap_or(&name)
                    {
                        target.clone()
                    } else {
                        path
                    };
                    renamed.insert(path, entry)?;
                }
                Ok((Vec::new(), renamed))
            }
            _ => Ok((to.clone(), tree)),
        }
    }

    /// The path that a dangling link at this path names.
    fn dangling(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut places = Places::of(self.below.view);
        let link = self.below.view.get(places.of_entry(path))?;
        let resolved = self.below.view.resolve(path);
        let is_link = matches!(link.member.entry.kind, EntryKind::Symlink(_));
        (is_link && matches!(resolved.target, Target::Nothing)).then(|| resolved.path.as_bytes().to_vec())
    }

    /// Where links of the image lead from a path, of which the last part is followed too.
    fn end(&self, path: &[u8]) -> Vec<u8> {
        let resolved = self.below.view.resolve(path);
        match resolved.target {
            Target::Loop => path.to_vec(),
            Target::Entry(_) | Target::Directory | Target::Nothing => resolved.path.as_bytes().to_vec(),
        }
    }

    /// Puts the entries, and the directory `to` if it is one.
    fn put(&mut self, to: &[u8], tree: FileTree) -> Result<()> {
        let mut places = Places::of(self.below.view);
        let (shape, link) = (&self.placing.shape, self.placing.link);
        let mut place_of = |path: &[u8], is_directory: bool| match (link, is_directory) {
            (true, _) => path.to_vec(),
            (false, true) => places.of_directory(path),
            (false, false) => places.of_entry(path),
        };
        if *shape != Shape::Nothing && !to.is_empty() {
            let place = place_of(to, true);
            self.make(&place)?;
        }
        for (path, mut entry) in tree {
            if let EntryKind::HardLink(target) = &mut entry.kind {
                *target = place_of(target, false);
            }
            let place = place_of(&path, entry.is_directory());
            self.check(&place, &entry)?;
            for parent in parents(&place) {
                self.make(parent)?;
            }
            if let Some(owner) = &self.owner {
                (entry.uid, entry.gid) = (owner.uid, owner.gid);
            }
            if !place.is_empty() {
                self.tree.insert(place, entry)?;
            }
        }
        self.tree.settle_links();
        // A layer of nothing but directories that the image has anyway changes nothing.
        let below = self.below;
        let is_known = |(path, entry): (&[u8], &Entry)| {
            !link
                && entry.is_directory()
                && below.directory(path).is_some_and(|known| same_directory(&known, entry))
        };
        if self.tree.iter().all(is_known) {
            self.tree = FileTree::new();
        }
        Ok(())
    }

    /// A directory above what is copied: as it is in the image, or made.
    fn make(&mut self, path: &[u8]) -> Result<()> {
        let dirs = parents(path).chain([path]).map(<[u8]>::to_vec);
        for dir in dirs.collect::<Vec<_>>() {
            if self.tree.get(&dir).is_some_and(Entry::is_directory) {
                continue;
            }
            if !self.placing.link
                && self.below.view.get(&dir).is_some_and(|found| !found.member.is_directory())
            {
                let fault = format!("`/{}` is no directory in the image", dir.escape_ascii());
                return Err(self.placing.origin.failed(fault, None));
            }
            let known = if self.placing.link { None } else { self.below.directory(&dir) };
            let entry = known.unwrap_or_else(|| {
                let owner = self.owner.clone().unwrap_or_default();
                let mode = self.placing.mode.unwrap_or(0o755);
                Entry { mode, uid: owner.uid, gid: owner.gid, ..Entry::directory() }
            });
            self.tree.insert(dir, entry)?;
        }
        Ok(())
    }

    /// Fails where a directory and a file of the image would replace each other.
    fn check(&self, place: &[u8], entry: &Entry) -> Result<()> {
        if self.placing.link {
            return Ok(());
        }
        let shown = || format!("/{}", place.escape_ascii());
        let fault = match entry.is_directory() {
            true if self.below.is_file(place) => {
                format!("the directory `{}` is a file in the image", shown())
            }
            false if self.below.is_directory(place) => {
                format!("`{}` is a directory in the image, which no file can replace", shown())
            }
            _ => return Ok(()),
        };
        Err(self.placing.origin.failed(fault, None))
    }
}

fn same_directory(one: &Entry, other: &Entry) -> bool {
    (one.mode, one.uid, one.gid, &one.xattrs) == (other.mode, other.uid, other.gid, &other.xattrs)
}
