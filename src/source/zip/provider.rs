//! A zip archive as a source.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::tree;
use crate::error::{Error, Result};
use crate::recipe::Source;
use crate::source::directory::{Fingerprints, Memory, future_path, hash_missing, recall, warn_of_links};
use crate::source::logins;
use crate::source::part::{Context, Fetched, Part, Provider, SourcePlan};
use crate::tree::FileTree;

/// The content of a zip archive.
pub(in crate::source) struct ZipProvider<'s> {
    pub(in crate::source) path: &'s Path,
}

impl Provider for ZipProvider<'_> {
    fn check(&self) -> Result<()> {
        let found = std::fs::metadata(self.path).map(drop);
        found.map_err(|source| Error::Read { path: self.path.to_owned(), source })
    }

    fn provides(&self, to: &str, path: &Path) -> Result<bool> {
        match path.strip_prefix(to) {
            Ok(relative) => tree::provides(self.path, relative.as_os_str().as_bytes()),
            Err(_) => Ok(false),
        }
    }

    fn packs(&self, path: &Path) -> Result<bool> {
        Ok(self.path.canonicalize().is_ok_and(|archive| future_path(path) == Some(archive)))
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let path = self.path.to_owned();
        async move { Ok(Source::Zip { path }) }.boxed()
    }

    fn plan<'a>(&'a self, is_function: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        let (path, stat_dir) = (self.path.to_owned(), context.cache.stat_dir());
        let named = context.requirement_files.clone();
        let opened = context.threads.run(1, move |_, _| {
            let began = SystemTime::now();
            let mut archive = tree::alone(&path)?;
            let mut known = Fingerprints::load(&stat_dir, &path);
            recall(&mut archive, &path, &mut known);
            hash_missing(&mut archive, 1)?;
            let tree = tree::collect(&archive)?;
            Memory { root: path.clone(), known, began }.keep(&archive);
            if is_function {
                logins::refuse(&tree, &named)?;
            }
            Ok(Members { path, tree })
        });
        async move { Ok(SourcePlan::one(opened.await?)) }.boxed()
    }
}

/// The members of an archive whose directory has been read.
struct Members {
    path: PathBuf,
    tree: FileTree,
}

impl Part for Members {
    fn name(&self) -> Option<String> {
        None
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let dir = to.trim_matches('/').as_bytes();
            let tree = self.tree.under(dir)?;
            warn_of_links(&tree, &self.path, dir, &context.events);
            Ok(Fetched::of(tree))
        }
        .boxed()
    }
}
