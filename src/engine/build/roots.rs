//! The files of the layers below a command, as directories in which it runs.
//!
//! The layers of the base are unpacked once, into a directory of the cache. Above it, each layer of the build is a directory
//! of an overlay; without overlays, it is unpacked over a copy. What a command changed is kept as the files of its layer for
//! the commands that follow.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Compression, Digest, Layer};
use crate::layer::{Decoded, LayerReader, MAX_LAYER};
use crate::rootfs::{self, FILES, Form, Ids, Index, IndexUpdate, Mode, Node, Owners, Snapshot, TREE, Way};
use crate::store::{self, CachedRoot, Usage, Workplace};
use crate::threads::blocking;
use crate::tree::EntryKind;

/// The number of bytes that are decompressed at once.
const PIECE: usize = 128 << 10;

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

/// Where a layer is unpacked.
struct Into {
    dir: PathBuf,
    /// The directories below, the topmost first, if it becomes one of an overlay.
    lowers: Option<Vec<PathBuf>>,
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
        let key = Digest::of(format!("root-1 {chain} {}", serde_json::json!(way.ids)).as_bytes());
        // Stages with the same base wait for one of them.
        let one = self.unpacking.lock().await;
        let known =
            session.cache.unpacked(key).map(|root| (root.index().and_then(|index| loaded(&index)), root));
        let (index, unpacked) = match known {
            Some((Ok(index), root)) => (index, root),
            damaged => {
                damaged.map_or(Ok(()), |(_, root)| session.cache.remove_root(root))?;
                let root = unpack_base(session, way, layers, key).await?;
                (loaded(&root.index()?)?, root)
            }
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
        Ok(Root { files, index: Arc::new(index), base: unpacked })
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

/// Unpacks the layers of a base into the cache.
async fn unpack_base(session: &Arc<Session>, way: &Way, layers: &[Layer], key: Digest) -> Result<CachedRoot> {
    let root = session.cache.new_root()?;
    let mut index = Arc::new(Index::new());
    make_root(way, &root.files(), &index)?;
    for layer in layers {
        index = unpack(session, way, layer, Into { dir: root.files(), lowers: None }, &index).await?;
    }
    let mut saved = Vec::new();
    index.save(&mut saved).map_err(|source| failed("write the index of a base", source))?;
    session.cache.keep_root(root, key, &saved, usage(&index))
}

/// Unpacks a layer into a directory, and returns the index of all files then.
async fn unpack(
    session: &Arc<Session>,
    way: &Way,
    layer: &Layer,
    into: Into,
    below: &Arc<Index>,
) -> Result<Arc<Index>> {
    let blob = session.nearest(&layer.blob);
    let (mut tar, cause) = store::blocking_reader(store::open(&session.registries, &blob).await?);
    let (ids, below, layer) = (way.ids.clone(), below.clone(), layer.clone());
    let what = format!("unpack layer {}", blob.digest);
    let unpacking = blocking(move |stop| {
        let start = io::BufRead::fill_buf(&mut tar).map_err(|source| Error::LayerRead { source })?;
        let compression = Compression::sniff(start);
        let (reader, writer) = io::pipe().map_err(|source| failed(&what, source))?;
        std::thread::scope(|scope| {
            // The tar is decompressed here while another process, which has the right to give files to their owners,
            // writes the files.
            let decompressing = scope.spawn(move || decompress(tar, compression, writer, &layer, stop));
            let unpacked =
                rootfs::within(&ids, &[reader.as_fd()], || unpack_tar(&reader, &into, owners(&ids), &below));
            drop(reader);
            let decompressed = decompressing.join().unwrap_or(Err(Error::Interrupted));
            let update = unpacked.map_err(|source| failed(&what, source))?;
            decompressed.map(|()| Arc::new(update.applied(&below)))
        })
    });
    match (unpacking.await, cause.take()) {
        (_, Some(cause)) => Err(cause),
        (done, None) => done,
    }
}

/// Decompresses a layer into a pipe, and compares its tar with the digest.
fn decompress(
    tar: impl io::BufRead,
    compression: Compression,
    mut writer: PipeWriter,
    layer: &Layer,
    stop: &AtomicBool,
) -> Result<()> {
    let mut tar = Decoded::new(tar, compression, MAX_LAYER);
    let (mut buffer, mut open) = (vec![0; PIECE], true);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match tar.read(&mut buffer).map_err(|source| Error::LayerRead { source })? {
            0 => break,
            // The reader does not need the padding after the last member.
            read => open = open && writer.write_all(&buffer[..read]).is_ok(),
        }
    }
    drop(writer);
    match tar.finish() {
        (got, _) if got == layer.diff_id => Ok(()),
        (got, _) => {
            let (digest, expected) = (layer.blob.digest, layer.diff_id.to_string());
            Err(Error::DiffId { image: "the image".to_owned(), digest, expected, got })
        }
    }
}

/// Unpacks a layer alone into a directory that exists.
pub(super) async fn unpack_apart(session: &Arc<Session>, way: &Way, layer: &Layer, dir: &Path) -> Result<()> {
    let into = Into { dir: dir.to_owned(), lowers: None };
    unpack(session, way, layer, into, &Arc::new(Index::new())).await.map(drop)
}

/// Unpacks a tar, perhaps in a process of its own; returns the difference to the index of the layers below.
fn unpack_tar(reader: &PipeReader, into: &Into, owners: Owners, below: &Index) -> io::Result<IndexUpdate> {
    let reader = BufReader::with_capacity(PIECE, reader);
    let mut tar = LayerReader::new(reader, Compression::None, MAX_LAYER);
    let form = into.lowers.as_ref().map_or(Form::Flat, |lowers| Form::Lower { lowers });
    let mut index = below.clone();
    rootfs::unpack(&mut tar, &into.dir, form, owners, &mut index)?;
    Ok(IndexUpdate::between(below, &index))
}

/// Makes the directory of a root, whose metadata the index has.
pub(super) fn make_root(way: &Way, dir: &Path, index: &Index) -> Result<()> {
    let is_roots = index.get(&[]).is_some_and(|root| (root.entry.uid, root.entry.gid) == (0, 0));
    let made = match way.ids {
        // This process's user is root of the user namespace, which takes some milliseconds to start.
        Ids::Ranges { .. } | Ids::Single { .. } if is_roots => rootfs::make_own_root(dir, index),
        _ => rootfs::within(&way.ids, &[], || rootfs::make_root(dir, index, owners(&way.ids))),
    };
    made.map_err(|source| failed("make the directory of a root", source))
}

/// How the owners of files are kept.
pub(super) fn owners(ids: &Ids) -> Owners {
    match ids {
        Ids::Real | Ids::Ranges { .. } => Owners::Kernel,
        Ids::Single { .. } | Ids::Unmapped => Owners::Recorded,
    }
}

/// The number and size of the files of a root.
fn usage(index: &Index) -> Usage {
    let size = |node: &Node| match &node.entry.kind {
        EntryKind::File(fact) => fact.size,
        _ => 0,
    };
    let bytes = index.iter().map(|(_, node)| size(node)).sum();
    Usage { files: index.iter().len() as u64, bytes }
}

/// The digest of each chain of the first layers, from none to all.
fn chains(layers: &[Layer]) -> Vec<Digest> {
    let mut all = vec![Digest::of(b"")];
    for layer in layers {
        all.push(Digest::of(format!("{} {}", all[all.len() - 1], layer.diff_id).as_bytes()));
    }
    all
}

fn loaded(index: &[u8]) -> Result<Index> {
    Index::load(index).map_err(|source| failed("read the index of an unpacked base", source))
}

fn failed(operation: &str, source: io::Error) -> Error {
    Error::Root { operation: operation.to_owned(), source }
}
