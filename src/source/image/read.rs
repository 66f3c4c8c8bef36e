//! Reads layers of an image from any location.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::select::{Place, Selection};
use crate::error::{Error, Result};
use crate::image::{Compression, Digest, Layer};
use crate::layer::{LayerReader, MAX_LAYER};
use crate::source::part::Context;
use crate::store::{Cache, Registries, blocking_reader, open};
use crate::threads::{Threads, blocking};
use crate::tree::{Content, EntryKind, ImagePath, Member, SourceFile, Stat, ZipContent};

/// Upper bound on the members of one layer, as in a scan.
const MAX_MEMBERS: usize = 1_000_000;

/// Upper bound on the size of a file that is read as a whole, in bytes.
const MAX_SMALL: usize = 4 << 20;

/// The members of a layer, in the order of its archive.
pub(in crate::source) async fn members(layer: &Layer, context: &Context) -> Result<Vec<Member<u64>>> {
    read(layer, &context.registries, &context.threads, members_of).await
}

/// The selected contents of a layer. The cache stores them in one file.
pub(in crate::source) async fn contents(
    number: usize,
    layer: &Layer,
    selection: &Arc<Selection>,
    context: &Context,
) -> Result<Vec<(Place, Content)>> {
    let (selection, cache) = (selection.clone(), context.cache.clone());
    read(layer, &context.registries, &context.threads, move |reader, stop| {
        let contents = contents_of(reader, &selection.members_of(number), &cache, stop)?;
        Ok(contents.into_iter().map(|(at, content)| ((number, at), content)).collect())
    })
    .await
}

/// The content of the file at exactly this path of a layer; it must be a small one.
pub(crate) async fn file_of(
    layer: &Layer,
    path: &[u8],
    registries: &Registries,
    threads: &Threads,
) -> Result<Vec<u8>> {
    let path = path.to_vec();
    read(layer, registries, threads, move |reader, stop| {
        let mut content = Vec::new();
        while let Some(member) = reader.next()? {
            if stop.load(Relaxed) {
                return Err(Error::Interrupted);
            }
            if member.path.as_bytes() != path || !member.is_file() {
                continue;
            }
            content.clear();
            reader.content(|piece| {
                content.extend_from_slice(piece);
                match content.len() > MAX_SMALL {
                    true => Err(Error::LayerRead { source: std::io::Error::other("it is too large") }),
                    false => Ok(()),
                }
            })?;
        }
        Ok(content)
    })
    .await
}

/// The members that a reader finds.
pub(in crate::source) fn members_of<R: BufRead>(
    reader: &mut LayerReader<R>,
    stop: &AtomicBool,
) -> Result<Vec<Member<u64>>> {
    let mut members = Vec::new();
    while let Some(member) = reader.next()? {
        if stop.load(Relaxed) {
            return Err(Error::Interrupted);
        }
        if members.len() >= MAX_MEMBERS {
            let source = std::io::Error::other(format!("it has more than {MAX_MEMBERS} members"));
            return Err(Error::LayerRead { source });
        }
        members.push(member);
    }
    Ok(members)
}

/// The contents of the files at these paths of a layer. The cache stores them in one file.
pub(crate) async fn contents_at(
    layer: &Layer,
    paths: BTreeSet<Vec<u8>>,
    cache: &Cache,
    registries: &Registries,
    threads: &Threads,
) -> Result<HashMap<Vec<u8>, Content>> {
    let (paths, cache) = (Arc::new(paths), cache.clone());
    read(layer, registries, threads, move |reader, stop| {
        let wanted = |_, member: &Member<u64>| match member.entry.kind {
            EntryKind::File(size) => Some(size).filter(|_| paths.contains(member.path.as_bytes())),
            _ => None,
        };
        let found = gather(reader, wanted, &cache, stop)?;
        // If a path occurs twice, the later entry is the one that counts.
        Ok(found.into_iter().map(|(_, path, content)| (path.as_bytes().to_vec(), content)).collect())
    })
    .await
}

/// The contents of the wanted members, by their indices; `wanted` has their sizes.
pub(in crate::source) fn contents_of<R: BufRead>(
    reader: &mut LayerReader<R>,
    wanted: &BTreeMap<usize, u64>,
    cache: &Cache,
    stop: &AtomicBool,
) -> Result<Vec<(usize, Content)>> {
    let found = gather(reader, |at, _| wanted.get(&at).copied(), cache, stop)?;
    Ok(found.into_iter().map(|(at, _, content)| (at, content)).collect())
}

/// The contents of the members that have a size in `wanted`.
fn gather<R: BufRead>(
    reader: &mut LayerReader<R>,
    wanted: impl Fn(usize, &Member<u64>) -> Option<u64>,
    cache: &Cache,
    stop: &AtomicBool,
) -> Result<Vec<(usize, ImagePath, Content)>> {
    let mut staged = cache.stage()?;
    let (mut parts, mut hash, mut end, mut at) = (Vec::new(), Sha256::new(), 0, 0);
    while let Some(member) = reader.next()? {
        if let Some(size) = wanted(at, &member) {
            let mut crc = Crc::new();
            reader.content(|piece| {
                if stop.load(Relaxed) {
                    return Err(Error::Interrupted);
                }
                crc.update(piece);
                hash.update(piece);
                staged.write_all(piece).map_err(|source| staged.failure(source))
            })?;
            parts.push((at, member.path, end, size, crc.sum()));
            end += size;
        }
        at += 1;
    }
    let file = cache.keep_file(staged, Digest::from_bytes(hash.finalize().into()), end)?;
    let found = std::fs::metadata(&file.path);
    let stat = Stat::from(&found.map_err(|source| Error::Read { path: file.path.clone(), source })?);
    let archive = Arc::new(SourceFile { path: file.path, stat, sha256: Some(file.digest), lasting: true });
    let content = |(at, path, offset, size, crc32): (usize, ImagePath, u64, u64, u32)| {
        let (archive, name) = (archive.clone(), path.as_bytes().into());
        (
            at,
            path,
            Content::Zip(ZipContent { archive, name, deflated: false, offset, length: size, size, crc32 }),
        )
    };
    Ok(parts.into_iter().map(content).collect())
}

/// Reads a layer with `work`. Retries if the registry's answer breaks off.
async fn read<T: Send + 'static>(
    layer: &Layer,
    registries: &Registries,
    threads: &Threads,
    work: impl Fn(&mut LayerReader<Box<dyn BufRead + Send>>, &AtomicBool) -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    let mut retry = registries.retry();
    loop {
        // A thread is reserved first, so that the registry's answer does not stay open until a thread is free.
        let lease = threads.lease(1).await?;
        let (mut bytes, cause) = blocking_reader(open(registries, &layer.blob).await?);
        let work = work.clone();
        let done = blocking(move |stop| {
            let _lease = lease;
            let start = bytes.fill_buf().map_err(|source| Error::LayerRead { source })?;
            let compression = Compression::sniff(start);
            let mut reader = LayerReader::new(bytes, compression, MAX_LAYER);
            let done = work(&mut reader, stop)?;
            // The digest of the blob is verified only at its end, so the rest of the stream is read as well.
            reader.finish()?;
            Ok(done)
        });
        match (done.await, cause.take()) {
            (Ok(done), _) => return Ok(done),
            (Err(_), Some(cause)) => retry.after(cause).await?,
            (Err(error), None) => return Err(error),
        }
    }
}
