//! The files of the layers below a command, as directories in which it runs.
//!
//! The layers of the base are unpacked once, into a directory of the cache. Above it, each layer of the build is a directory
//! of an overlay; without overlays, it is unpacked over a copy. What a command changed is kept as the files of its layer for
//! the commands that follow.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::unpack::{Into, chains, failed, make_root, new_root, root_key, saved_root, unpack};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Digest, Layer};
use crate::rootfs::{self, FILES, Index, Mode, Node, Snapshot, TREE, Way};
use crate::store::{CachedRoot, Workplace};
use crate::threads::blocking;
use crate::tree::EntryKind;

/// The roots that a build has prepared.
#[derive(Default)]
pub(super) struct Roots {
    place: OnceCell<Workplace>,
    /// The files of chains of layers, by the chains' digests.
    ready: Mutex<HashMap<Digest, Root>>,
    /// Held while a base is unpacked.
    unpacking: tokio::sync::Mutex<()>,
    /// The number of directories in `place`.
    count: AtomicUsize,
}

/// The files of a chain of layers.
pub(super) struct Root {
    pub(super) files: RootFiles,
    pub(super) index: Arc<Index>,
    /// The unpacked base, which stays in the cache as long as this value exists.
    pub(super) base: CachedRoot,
}

/// The directories of a root.
pub(super) enum RootFiles {
    /// The directories of an overlay, the topmost first.
    Layers(Vec<PathBuf>),
    /// One with all files, which a command changes; with their state, if it is known.
    Tree(PathBuf, Option<Snapshot>),
}

impl Roots {
    /// The files of the layers.
    pub(super) async fn take(&self, session: &Arc<Session>, way: &Way, layers: &[Layer]) -> Result<Root> {
        let chains = chains(layers);
        let found = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            (0..=layers.len()).rev().find_map(|count| {
                let chain = chains[count];
                // A tree is changed by the next command, and an index in use need not be copied.
                Some((count, ready.remove(&chain)?))
            })
        };
        let (count, mut root) = match found {
            Some(found) => found,
            None => {
                let count = layers.iter().take_while(|layer| layer.key.is_none()).count();
                (count, self.base(session, way, &layers[..count], chains[count]).await?)
            }
        };
        for layer in &layers[count..] {
            self.apply(session, way, layer, &mut root).await?;
        }
        Ok(root)
    }

    /// Keeps the files of these layers for later commands.
    pub(super) fn keep(&self, layers: &[Layer], root: Root) {
        let chain = chains(layers)[layers.len()];
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(chain, root);
    }

    /// A new directory of the build.
    pub(super) async fn directory(&self, session: &Session, way: &Way, name: &str) -> Result<PathBuf> {
        let place = self.place.get_or_try_init(|| async {
            let place = session.cache.workplace()?;
            Ok(match way.mode {
                // The kernel ends all processes with this one.
                Mode::Namespaces | Mode::Copy => place,
                Mode::Chroot | Mode::Proot => place.kept_for_the_next_run(),
            })
        });
        let place = place.await?;
        let dir = place.absolute()?.join(format!("{name}-{}", self.count.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&dir).map_err(|source| Error::Write { path: dir.clone(), source })?;
        Ok(dir)
    }

    /// The files of the base.
    async fn base(&self, session: &Arc<Session>, way: &Way, layers: &[Layer], chain: Digest) -> Result<Root> {
        let key = root_key(way, chain);
        // Stages with the same base wait for one of them.
        let one = self.unpacking.lock().await;
        let (index, unpacked) = match saved_root(&session.cache, key)? {
            Some(known) => known,
            None => new_root(session, way, None, layers, key).await?,
        };
        drop(one);
        let files = match way.mode == Mode::Namespaces {
            true => RootFiles::Layers(vec![unpacked.files()]),
            false => {
                let tree = self.directory(session, way, TREE).await?.join(FILES);
                let (from, to, ids) = (unpacked.files(), tree.clone(), way.ids.clone());
                let copying = blocking(move |_| {
                    let copied = rootfs::within(&ids, &[], || rootfs::copy(&from, &to));
                    copied.map_err(|source| failed("copy the files of the base", source))
                });
                copying.await?;
                RootFiles::Tree(tree, None)
            }
        };
        Ok(Root { files, index, base: unpacked })
    }

    /// Adds a layer to the files.
    async fn apply(&self, session: &Arc<Session>, way: &Way, layer: &Layer, root: &mut Root) -> Result<()> {
        match &mut root.files {
            RootFiles::Layers(lowers) => {
                let dir = self.directory(session, way, "layer").await?.join(FILES);
                make_root(way, &dir, &root.index)?;
                let into = Into { dir: dir.clone(), lowers: Some(lowers.clone()) };
                root.index = unpack(session, way, layer, into, &root.index).await?;
                lowers.insert(0, dir);
            }
            RootFiles::Tree(dir, seen) => {
                *seen = None;
                let into = Into { dir: dir.clone(), lowers: None };
                root.index = unpack(session, way, layer, into, &root.index).await?;
            }
        }
        Ok(())
    }
}

impl Root {
    /// The content of a file of the image; empty if it has no such file. For files of mapped ids, it runs in their user
    /// namespace.
    pub(super) fn read(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        let Some(path) = self.index.resolve(path) else { return Ok(Vec::new()) };
        let is_file = |node: &Node| matches!(node.entry.kind, EntryKind::File(_));
        if !self.index.get(&path).is_some_and(is_file) {
            return Ok(Vec::new());
        }
        let dirs = match &self.files {
            RootFiles::Layers(lowers) => &lowers[..],
            RootFiles::Tree(tree, _) => std::slice::from_ref(tree),
        };
        // The topmost directory that has it: what a higher one hides is not in the index.
        let file = dirs.iter().map(|dir| dir.join(OsStr::from_bytes(&path))).find(|file| file.exists());
        file.map_or_else(|| Ok(Vec::new()), std::fs::read)
    }
}
