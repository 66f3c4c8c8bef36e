//! The difference that a command made in a root, as the files of a layer.
//!
//! 1. Candidates: the whole upper directory of an overlay ([`overlay`]), or what two snapshots of a tree show
//!    ([`snapshot`](super::snapshot)).
//! 2. Each is read and compared with the index of the layers below ([`compare`](super::compare)): whiteouts, hard
//!    links, and the parents of all entries as they are.
//! 3. The root is normalised, so that it is what an unpacked layer would make of it ([`normalise`](super::normalise)).
//!
//! [`settle_overlay`] and [`settle_tree`] do all this, for files of mapped ids in their user namespace; the rest turns
//! their result into a [`FileTree`], in the process that writes the layer.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::attributes::Owners;
use super::candidates::Candidates;
use super::compare::{Changes, Comparison};
use super::directories::{Directories, is_below, named, path_in};
use super::index::{FileFact, Index};
use super::noise::is_noise;
use super::normalise::{Normalising, Opened};
use super::overlay;
use super::pyc;
use super::read::Found;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::tree::{Content, Entry, FileTree, ImagePath, SourceFile, Stat};

/// Settings for the difference.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'s> {
    pub owners: Owners,
    /// The user and group that ran the command: with [`Owners::Recorded`], those of files without a record.
    pub creator: (u64, u64),
    /// The modification time of every entry, in seconds since 1970.
    pub epoch: u64,
    /// Whether the layer has the files of the noise list.
    pub keeps_noise: bool,
    /// Paths that belong to mounts: the layer has neither them nor what is below them.
    pub left_out: &'s [Vec<u8>],
    /// The directory of the lowest layers. A file of the noise list that was changed in a tree is restored from it.
    pub base: Option<&'s Path>,
    /// Whether to make files readable that only the user namespace may read, until [`restore`](super::restore).
    pub opens: bool,
}

/// The difference that a command made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settled {
    changes: Vec<(ImagePath, Entry<Located>)>,
    epoch: u64,
    /// What was made readable.
    pub opened: Opened,
}

/// A file of the root, as the writer of the layer will find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Located {
    fact: FileFact,
    mtime_ns: i64,
    ctime_ns: i64,
    ino: u64,
    dev: u64,
}

/// The difference of an upper directory to the layers below, of which `index` is. Afterwards the upper directory can be
/// a lower one, and shows what the layer would show.
pub(crate) fn settle_overlay(upper: &Path, index: &Index, settings: &Settings<'_>) -> io::Result<Settled> {
    let mut directories = Directories::open(upper)?;
    settle(&mut directories, overlay::changes(upper, index)?, index, settings)
}

/// The difference of a tree to the one of which `index` and the snapshot are. Afterwards the tree has what the layer
/// would make of the former one. The snapshot that is returned serves for the next command.
pub(crate) fn settle_tree(
    tree: &Path,
    before: &Snapshot,
    index: &Index,
    settings: &Settings<'_>,
) -> io::Result<(Settled, Snapshot)> {
    let mut directories = Directories::open(tree)?;
    let mut after = Snapshot::of(tree)?;
    let candidates = before.changes(&after, index);
    let touched: Vec<Vec<u8>> = candidates.present.iter().chain(&candidates.gone).cloned().collect();
    let settled = settle(&mut directories, candidates, index, settings)?;
    directories.forget();
    after.renew(&mut directories, &touched)?;
    Ok((settled, after))
}

fn settle(
    directories: &mut Directories,
    candidates: Candidates,
    index: &Index,
    settings: &Settings<'_>,
) -> io::Result<Settled> {
    let Candidates { present, mut gone, opaque } = candidates;
    let (mut found, mut dropped) = (BTreeMap::new(), BTreeSet::new());
    let is_left_out = |path: &[u8]| settings.left_out.iter().any(|out| path == out || is_below(path, out));
    gone.retain(|path| !is_left_out(path));
    for path in present {
        let is_dropped = is_left_out(&path) || (!settings.keeps_noise && is_noise(&path));
        let before = index.get(&path);
        let mut read =
            || Found::read(directories, &path, settings.owners, opaque.is_some(), before, settings.creator);
        let file = if is_dropped { None } else { read().map_err(|error| named(&path, error))? };
        match file {
            Some(file) => drop(found.insert(path, file)),
            None => {
                if !is_dropped && before.is_some() {
                    // A socket has taken its place.
                    gone.insert(path.clone());
                }
                dropped.insert(path);
            }
        }
    }
    fit_compiled(directories, &mut found, &gone, index, settings.epoch)?;
    let comparison = Comparison { index, found: &found, gone: &gone };
    let changes = comparison.changes();
    let mut after = index.clone();
    after.apply(changes.iter().map(|(path, entry)| (&path[..], entry)), settings.epoch, |fact| *fact);
    let normalising = Normalising {
        directories: &mut *directories,
        before: index,
        after: &after,
        found: &found,
        changes: &changes,
        opaque: opaque.as_ref(),
        owners: settings.owners,
        creator: settings.creator,
        base: settings.base,
    };
    let opened = normalising.run(&dropped, &comparison.links(), settings.opens)?;
    let changes = located(directories, changes)?;
    Ok(Settled { changes, epoch: settings.epoch, opened })
}

/// Makes compiled Python files fit the times that the layer will give to their sources.
fn fit_compiled(
    directories: &mut Directories,
    found: &mut BTreeMap<Vec<u8>, Found>,
    gone: &BTreeSet<Vec<u8>>,
    index: &Index,
    epoch: u64,
) -> io::Result<()> {
    let changed: BTreeSet<Vec<u8>> = {
        let comparison = Comparison { index, found, gone };
        comparison
            .changed()
            .into_iter()
            .filter(|path| path.ends_with(b".py") || path.ends_with(b".pyc"))
            .map(<[u8]>::to_vec)
            .collect()
    };
    let compiled: Vec<Vec<u8>> = changed.iter().filter(|path| path.ends_with(b".pyc")).cloned().collect();
    pyc::fit(directories, found, &compiled, |source| match changed.contains(source) {
        true => epoch,
        false => index.get(source).map_or(epoch, |node| node.mtime),
    })
}

/// The changes with what the writer needs to know of each file.
fn located(directories: &mut Directories, changes: Changes) -> io::Result<Vec<(ImagePath, Entry<Located>)>> {
    let mut located = Vec::with_capacity(changes.len());
    for (path, Entry { kind, mode, uid, gid, xattrs }) in changes {
        let kind = kind.try_map_content(|fact| {
            let stat = directories.stat(&path).map_err(|error| named(&path, error))?;
            let stat = stat.ok_or_else(|| named(&path, io::ErrorKind::NotFound.into()))?;
            let nanoseconds =
                |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
            Ok::<_, io::Error>(Located {
                fact: *fact,
                mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
                ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
                ino: stat.st_ino,
                dev: stat.st_dev,
            })
        })?;
        located.push((ImagePath::new(&path), Entry { kind, mode, uid, gid, xattrs }));
    }
    Ok(located)
}

impl Settled {
    /// Whether the command changed nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The files of the layer; their contents are in `root` until [`restore`](super::restore).
    ///
    /// # Errors
    /// [`Error::ImagePath`](crate::error::Error::ImagePath) for a path that no layer can have.
    pub fn tree(&self, root: &Path) -> Result<FileTree> {
        FileTree::of(self.changes.iter().map(|(path, entry)| {
            let Entry { kind, mode, uid, gid, xattrs } = entry;
            let kind = kind.map_content(|file| {
                let Located { fact, mtime_ns, ctime_ns, ino, dev } = *file;
                let stat = Stat { size: fact.size, mtime_ns, ctime_ns, ino, dev };
                let path = path_in(root, path.as_bytes());
                Content::File(SourceFile { path, stat, sha256: Some(fact.sha256), lasting: false })
            });
            let entry = Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() };
            (path.as_bytes().to_vec(), entry)
        }))
    }

    /// Applies the difference to the index that it was made of.
    pub fn apply(&self, index: &mut Index) {
        let changes = self.changes.iter().map(|(path, entry)| (path.as_bytes(), entry));
        index.apply(changes, self.epoch, |file| file.fact);
    }
}
