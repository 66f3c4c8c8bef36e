//! Unpacks layers into directories. The files of a chain of layers stay in the cache.

use std::io::{self, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Compression, Digest, Layer};
use crate::layer::{Decoded, LayerReader, MAX_LAYER};
use crate::rootfs::{self, Form, Ids, Index, IndexUpdate, Node, Owners, Way};
use crate::store::{self, Cache, CachedRoot, Usage};
use crate::threads::blocking;
use crate::tree::EntryKind;

/// The number of bytes that are decompressed at once.
const PIECE: usize = 128 << 10;

/// The unpacked files of a chain of layers, and their index.
pub(in crate::engine) type Unpacked = (Arc<Index>, CachedRoot);

/// Where a layer is unpacked.
pub(super) struct Into {
    pub(super) dir: PathBuf,
    /// The directories below, the topmost first, if it becomes one of an overlay.
    pub(super) lowers: Option<Vec<PathBuf>>,
}

/// The key of the files of a chain of layers. How their owners are represented depends on the ids.
pub(in crate::engine) fn root_key(way: &Way, chain: Digest) -> Digest {
    Digest::of(format!("root-1 {chain} {}", serde_json::json!(way.ids)).as_bytes())
}

/// The files of a chain, if the cache has them. One that is damaged is removed.
pub(in crate::engine) fn saved_root(cache: &Cache, key: Digest) -> Result<Option<Unpacked>> {
    let Some(root) = cache.unpacked(key) else { return Ok(None) };
    match root.index().and_then(|index| loaded(&index)) {
        Ok(index) => Ok(Some((Arc::new(index), root))),
        Err(_) => cache.remove_root(root).map(|()| None),
    }
}

/// Unpacks layers into the cache, on top of the files of the layers below, if any.
pub(in crate::engine) async fn new_root(
    session: &Arc<Session>,
    way: &Way,
    below: Option<&Unpacked>,
    layers: &[Layer],
    key: Digest,
) -> Result<Unpacked> {
    let root = session.cache.new_root()?;
    let mut index = match below {
        None => {
            let index = Arc::new(Index::new());
            make_root(way, &root.files(), &index)?;
            index
        }
        Some((index, below)) => {
            let (from, to, ids) = (below.files(), root.files(), way.ids.clone());
            let linking = blocking(move |_| {
                let linked = rootfs::within(&ids, &[], || rootfs::link(&from, &to, None));
                linked.map_err(|source| failed("link the files of the layers below", source))
            });
            linking.await?;
            index.clone()
        }
    };
    for layer in layers {
        index = unpack(session, way, layer, Into { dir: root.files(), lowers: None }, &index).await?;
    }
    let mut saved = Vec::new();
    index.save(&mut saved).map_err(|source| failed("write the index of unpacked files", source))?;
    let kept = session.cache.keep_root(root, key, &saved, usage(&index))?;
    Ok((index, kept))
}

/// Unpacks a layer into a directory, and returns the index of all files then.
pub(super) async fn unpack(
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
pub(in crate::engine) fn chains(layers: &[Layer]) -> Vec<Digest> {
    let mut all = vec![Digest::of(b"")];
    for layer in layers {
        all.push(Digest::of(format!("{} {}", all[all.len() - 1], layer.diff_id).as_bytes()));
    }
    all
}

fn loaded(index: &[u8]) -> Result<Index> {
    Index::load(index).map_err(|source| failed("read the index of an unpacked base", source))
}

pub(in crate::engine) fn failed(operation: &str, source: io::Error) -> Error {
    Error::Root { operation: operation.to_owned(), source }
}
