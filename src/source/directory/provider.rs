//! A directory as a source.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::collect::{self, collect};
use super::fingerprint::Fingerprints;
use super::hash::{self, Memory};
use super::{environments, links};
use crate::error::{Error, Result};
use crate::recipe::Source;
use crate::source::ignore::Ignore;
use crate::source::logins;
use crate::source::part::{Context, Fetched, Part, Provider, SourcePlan};
use crate::threads;
use crate::tree::FileTree;

/// A directory's content, or a single file.
pub(in crate::source) struct DirectoryProvider<'s> {
    pub(in crate::source) path: &'s Path,
    /// Whether an ignore file in the directory applies.
    pub(in crate::source) ignore: bool,
    /// Paths that are always left out, even if an exception in the ignore file matches them.
    pub(in crate::source) without: &'s [String],
}

impl DirectoryProvider<'_> {
    fn rules(&self) -> Result<Ignore> {
        let rules = if self.ignore { Ignore::load(self.path)? } else { Ignore::none() };
        Ok(rules.without(self.without))
    }
}

impl Provider for DirectoryProvider<'_> {
    fn check(&self) -> Result<()> {
        let found = std::fs::metadata(self.path).map(drop);
        found.map_err(|source| Error::Read { path: self.path.to_owned(), source })
    }

    fn provides(&self, to: &str, path: &Path) -> Result<bool> {
        Ok(collect::provides(self.path, to.as_bytes(), &self.rules()?, path.as_os_str().as_bytes()))
    }

    fn packs(&self, path: &Path) -> Result<bool> {
        let (Ok(root), Some(path)) = (self.path.canonicalize(), future_path(path)) else { return Ok(false) };
        let Ok(relative) = path.strip_prefix(&root) else { return Ok(false) };
        Ok(!self.rules()?.is_ignored(relative.as_os_str().as_bytes()))
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let (path, ignore, without) = (self.path.to_owned(), self.ignore, self.without.to_vec());
        async move { Ok(Source::Directory { path, ignore, without }) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move {
            let (path, is_code) = (self.path.to_owned(), self.ignore);
            let rules = self.rules()?;
            let (stat_dir, named) = (context.cache.stat_dir(), context.requirement_files.clone());
            let walked = context.threads.run(context.threads.all(), move |jobs, _| {
                let walked = Walked { is_code, ..Walked::new(path, &rules, &stat_dir, jobs)? };
                // Only the code is certainly the user's own; the files of an explicit copy may have other authors.
                if is_code {
                    logins::refuse(&walked.tree, &named)?;
                }
                Ok(walked)
            });
            Ok(SourcePlan::one(walked.await?))
        }
        .boxed()
    }
}

/// A program: one file, with mode 0755.
pub(in crate::source) struct ProgramProvider<'s> {
    pub(in crate::source) path: &'s Path,
}

impl ProgramProvider<'_> {
    fn as_directory(&self) -> DirectoryProvider<'_> {
        DirectoryProvider { path: self.path, ignore: false, without: &[] }
    }
}

impl Provider for ProgramProvider<'_> {
    fn check(&self) -> Result<()> {
        match std::fs::metadata(self.path) {
            Ok(found) if found.is_file() => Ok(()),
            found => {
                let source = found.err().unwrap_or_else(|| std::io::ErrorKind::IsADirectory.into());
                Err(Error::Read { path: self.path.to_owned(), source })
            }
        }
    }

    fn provides(&self, to: &str, path: &Path) -> Result<bool> {
        self.as_directory().provides(to, path)
    }

    fn packs(&self, path: &Path) -> Result<bool> {
        self.as_directory().packs(path)
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let path = self.path.to_owned();
        async move { Ok(Source::Program { path }) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move {
            let (path, stat_dir) = (self.path.to_owned(), context.cache.stat_dir());
            let walked = context.threads.run(context.threads.all(), move |jobs, _| {
                let mut walked = Walked::new(path, &Ignore::none(), &stat_dir, jobs)?;
                walked.tree.iter_mut().for_each(|(_, entry)| entry.mode = 0o755);
                Ok(walked)
            });
            Ok(SourcePlan::one(walked.await?))
        }
        .boxed()
    }
}

/// The real path of a file that need not exist yet: its nearest existing parent is resolved.
pub(in crate::source) fn future_path(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let known = path.ancestors().find_map(|parent| Some((parent, parent.canonicalize().ok()?)));
    let (parent, real) = known?;
    Some(real.join(path.strip_prefix(parent).ok()?))
}

/// A directory's files. Their contents were not read; the digests of unchanged files are known.
struct Walked {
    tree: FileTree,
    /// The name of the file, if the source is a single file.
    single: Option<Vec<u8>>,
    /// Whether it is the function's own directory.
    is_code: bool,
    memory: Memory,
}

impl Walked {
    fn new(root: PathBuf, rules: &Ignore, stat_dir: &Path, jobs: usize) -> Result<Walked> {
        let began = SystemTime::now();
        let load = || Fingerprints::load(stat_dir, &root);
        let (mut known, tree) = threads::both(load, || collect(&root, b"", rules, jobs));
        let mut tree = tree?;
        hash::recall(&mut tree, &root, &mut known);
        let name = root.file_name().filter(|_| root.is_file());
        let single = name.map(|name| name.as_bytes().to_vec());
        Ok(Walked { tree, single, is_code: false, memory: Memory { root, known, began } })
    }

    /// The files at their paths in the image. A directory's content becomes that of `to`; a single file becomes `to`,
    /// or goes into `to` when `to` ends in a slash.
    fn under(&mut self, to: &str) -> Result<FileTree> {
        let mut tree = std::mem::take(&mut self.tree);
        let dir = to.trim_matches('/').as_bytes();
        match &self.single {
            Some(name) if !to.ends_with('/') => {
                let mut renamed = FileTree::new();
                if let Some(entry) = tree.remove(name) {
                    renamed.insert(dir, entry)?;
                }
                Ok(renamed)
            }
            _ => tree.under(dir),
        }
    }
}

impl Part for Walked {
    fn name(&self) -> Option<String> {
        None
    }

    fn fetch<'a>(mut self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        let (to, events) = (to.to_owned(), context.events.clone());
        let placed = context.threads.run(1, move |_, _| {
            if self.is_code {
                environments::warn(&self.tree, &self.memory.root, &events);
            }
            let tree = self.under(&to)?;
            // The targets of links depend on the path in the image, which is known only now.
            let dir = to.trim_matches('/').as_bytes();
            links::warn_of_links(&tree, &self.memory.root, dir, &events);
            let memory = self.memory;
            Ok(Fetched::of(tree).then_keep(move |tree| memory.keep(tree)))
        });
        placed.boxed()
    }
}
