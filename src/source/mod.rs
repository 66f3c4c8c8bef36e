//! From a [`Source`] to the files it stands for: the only place that tells sources apart.

mod address;
mod bundle;
mod directory;
mod ignore;
mod logins;
mod node;
mod program;
pub(crate) mod python;
mod zip;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) use bundle::{Bundle, Context, bundles};
pub(crate) use directory::Warning;
pub(crate) use directory::hash::hash_missing;

use self::directory::fingerprint::Fingerprints;
use self::directory::hash;
use self::ignore::Ignore;
use crate::error::{Error, Result};
use crate::layer::FileTree;
use crate::recipe::{Requirements, Source};

/// The files of a source, and what is remembered of their contents from earlier runs.
pub(crate) struct Collected {
    /// The files; at their places in the image after [`put_under`](Collected::put_under).
    pub(crate) tree: FileTree,
    root: PathBuf,
    /// The name of the file, when the source is one.
    single: Option<Vec<u8>>,
    /// The archive that the files are in, as a tree of its own, when they are in one.
    archive: Option<FileTree>,
    known: Fingerprints,
    began: SystemTime,
}

/// Walks the source. Nothing is read of a file, but for an archive that is new; `stat_dir` has what earlier runs
/// read.
pub(crate) fn collect(
    source: &Source,
    stat_dir: PathBuf,
    began: SystemTime,
    jobs: usize,
) -> Result<Collected> {
    match source {
        Source::Directory { path, .. } => {
            let rules = ignore_rules(source)?;
            let (tree, mut known) = std::thread::scope(|scope| {
                let known = scope.spawn(|| Fingerprints::load(&stat_dir, path));
                let tree = directory::collect(path, b"", &rules, jobs);
                (tree, known.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            });
            let mut tree = tree?;
            hash::recall(&mut tree, path, &mut known);
            let name = path.file_name().filter(|_| path.is_file());
            let single = name.map(|name| name.as_encoded_bytes().to_vec());
            Ok(Collected { tree, root: path.clone(), single, archive: None, known, began })
        }
        Source::Zip { path } => {
            let mut archive = zip::tree::alone(path)?;
            let mut known = Fingerprints::load(&stat_dir, path);
            hash::recall(&mut archive, path, &mut known);
            hash_missing(&mut archive, 1)?;
            let tree = zip::tree::collect(&archive)?;
            Ok(Collected { tree, root: path.clone(), single: None, archive: Some(archive), known, began })
        }
        Source::Python(_) | Source::Npm(_) => unreachable!("packages are bundles"),
    }
}

/// Fails when the source is not there at all: a mistake that should show before anything is sent.
pub(crate) fn check(source: &Source) -> Result<()> {
    let path = match source {
        Source::Directory { path, .. } | Source::Zip { path } => path,
        Source::Python(python) => match &python.requirements {
            Requirements::File { path } => path,
            Requirements::Pinned(_) => return Ok(()),
        },
        Source::Npm(npm) => return node::check(npm),
    };
    let found = std::fs::metadata(path).map(drop);
    found.map_err(|source| Error::Read { path: path.clone(), source })
}

/// The files that say which packages are wanted.
pub(crate) fn asking(source: &Source) -> Vec<PathBuf> {
    match source {
        Source::Python(python) => match &python.requirements {
            Requirements::File { path } => python::files(path),
            Requirements::Pinned(_) => Vec::new(),
        },
        Source::Directory { .. } | Source::Zip { .. } | Source::Npm(_) => Vec::new(),
    }
}

/// Whether the source has something at `path` of the image when its files go to `to`.
pub(crate) fn provides(source: &Source, to: &str, path: &Path) -> Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    match source {
        Source::Directory { path: root, .. } => {
            let rules = ignore_rules(source)?;
            Ok(directory::provides(root, to.as_bytes(), &rules, path.as_os_str().as_bytes()))
        }
        Source::Zip { path: archive } => match path.strip_prefix(to) {
            Ok(relative) => zip::tree::provides(archive, relative.as_os_str().as_bytes()),
            Err(_) => Ok(false),
        },
        // A handler is the function's own.
        Source::Python(_) | Source::Npm(_) => Ok(false),
    }
}

/// Whether the source takes in a file at `path` of this machine, or would if there were one.
pub(crate) fn packs(source: &Source, path: &Path) -> Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    match source {
        Source::Directory { path: root, .. } => {
            let (Ok(root), Some(path)) = (root.canonicalize(), future_path(path)) else { return Ok(false) };
            let Ok(relative) = path.strip_prefix(&root) else { return Ok(false) };
            Ok(!ignore_rules(source)?.is_ignored(relative.as_os_str().as_bytes()))
        }
        Source::Zip { path: archive } => {
            Ok(archive.canonicalize().is_ok_and(|archive| future_path(path) == Some(archive)))
        }
        Source::Python(_) | Source::Npm(_) => Ok(false),
    }
}

/// Where a file will be that is not there yet: its nearest existing parent tells.
fn future_path(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let known = path.ancestors().find_map(|parent| Some((parent, parent.canonicalize().ok()?)));
    let (parent, real) = known?;
    Some(real.join(path.strip_prefix(parent).ok()?))
}

fn ignore_rules(source: &Source) -> Result<Ignore> {
    match source {
        Source::Directory { path, ignore, without } => {
            let rules = if *ignore { Ignore::load(path)? } else { Ignore::none() };
            Ok(rules.without(without))
        }
        Source::Zip { .. } | Source::Python(_) | Source::Npm(_) => Ok(Ignore::none()),
    }
}

impl Collected {
    /// Moves the files to their place in the image. A directory's content becomes `to`'s; a single file
    /// becomes `to`, or goes into it when it ends in a slash.
    ///
    /// Only now can be told where the links lead.
    pub(crate) fn put_under(&mut self, to: &str, mut warn: impl FnMut(Warning)) -> Result<()> {
        let mut tree = std::mem::take(&mut self.tree);
        let dir = to.trim_matches('/').as_bytes();
        self.tree = match &self.single {
            Some(name) if !to.ends_with('/') => {
                let mut renamed = FileTree::new();
                if let Some(entry) = tree.remove(name) {
                    renamed.insert(dir, entry)?;
                }
                renamed
            }
            _ => tree.under(dir)?,
        };
        directory::check_links(&self.tree, &self.root, dir, &mut warn);
        Ok(())
    }

    /// Fails when a login would be packed with the code; `named` are the files that packages are asked for in.
    pub(crate) fn refuse_logins(&self, named: &[PathBuf]) -> Result<()> {
        logins::refuse(&self.tree, named)
    }

    /// Saves what is known of the contents, for the next run. A cache that cannot be written costs time, no more.
    pub(crate) fn remember(&self) {
        let read = self.archive.as_ref().unwrap_or(&self.tree);
        let _ = hash::remember(read, &self.root, &self.known, self.began);
    }
}
