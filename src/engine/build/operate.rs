//! Makes the layer of a line's operations: the line runs in a model of the files of all layers below.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};

use super::add::{Adding, Making, Outcome};
use super::cached::Known;
use super::placed::scans_of;
use super::planned::PlannedLine;
use super::write::{Made, Writing, make};
use crate::engine::contents::{Contents, ContentsKind};
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::image::{Digest, Layer, LayerKey};
use crate::operations::{Changes, Data, DataPiece, Filesystem, LowerFile, Stop};
use crate::scan::{LayerScan, NoFact, view};
use crate::source;
use crate::store::Cache;
use crate::tree::{Content, Entry, EntryKind, FileTree, SourceFile, Stat};

/// The number of bytes that are copied at once.
const PIECE: usize = 128 << 10;

type Scans = Arc<Vec<Option<LayerScan<NoFact>>>>;

/// The contents of files of the layers below, by the number of their layer and their path.
type Lower = HashMap<(usize, Vec<u8>), Content>;

impl Adding<'_> {
    /// Runs the operations and writes their layer, and compares it with the one that was found, if any.
    pub(super) async fn operated(
        &self,
        planned: Arc<PlannedLine>,
        key: Option<LayerKey>,
        found: Option<Known>,
        making: &Making<'_>,
    ) -> Result<Outcome> {
        let Making { name, below, threads, .. } = *making;
        let scans = Arc::new(scans_of(self.session, self.trees, below).await?);
        let changes = changes(self.session, planned, scans, below).await?;
        if changes.is_empty() {
            if let Some(key) = key {
                Known::keep_nothing(&self.session.cache, key)?;
            }
            return Ok((key, Known(None), false));
        }
        let found = match found {
            Some(Known(None)) if self.session.caching.policy == Caching::Verify => {
                return Err(Error::CacheRemade { layer: name.to_owned() });
            }
            found => found.and_then(|found| found.0),
        };
        let lower = lower(self.session, &changes, below).await?;
        let (session, epoch, layer) = (self.session.clone(), self.epoch, name.to_owned());
        let is_scanned = self.trees.is_scanned();
        let writing = self.session.threads.run(threads, move |threads, stop| {
            let mut tree = tree(&session.cache, changes, &lower)?;
            let writing = Writing { epoch, name: &layer, threads, stop, is_scanned };
            let made = make(&session, &mut tree, &writing, key, found)?;
            Ok((made, tree))
        });
        let (Made { layer, cached, code }, tree) = writing.await?;
        let contents = Contents { tree: tree.into(), code: code.map(Arc::new), kind: ContentsKind::Keyed };
        self.trees.keep(layer.blob.digest, contents);
        Ok((layer.key, Known(Some(layer)), cached))
    }
}

/// The changes of the line. If the line needs the contents of further files, it runs again with them.
async fn changes(
    session: &Arc<Session>,
    planned: Arc<PlannedLine>,
    scans: Scans,
    below: &[Layer],
) -> Result<Changes> {
    let mut known: Vec<(LowerFile, Arc<[u8]>)> = Vec::new();
    loop {
        let (planned, scans, contents) = (planned.clone(), scans.clone(), known.clone());
        let run = move |_, _: &_| {
            let mut files = Filesystem::of(&view(&scans), |file| (file.size, file.sha256()));
            contents.into_iter().for_each(|(file, content)| files.know(file, content));
            let done = planned.line.run(&mut files, source::export_lock);
            Ok((done, planned, files.changes()))
        };
        let (done, planned, changes) = session.threads.run(1, run).await?;
        match done {
            Ok(passed_over) => {
                let (file, line) = (&planned.origin.file, planned.origin.line);
                for (command, fault) in passed_over {
                    session.events.warn(format!("{file}:{line}: `{command}` fails: {fault}"), None);
                }
                return Ok(changes);
            }
            Err(Stop::Failed { command, fault }) => {
                return Err(planned.origin.failed_at(&command, format!("`{command}` fails: {fault}"), None));
            }
            Err(Stop::Needs(files)) => {
                let read = files.into_iter().map(async |file| {
                    let layer = &below[file.layer];
                    let content =
                        source::file_of(layer, &file.path, &session.registries, &session.threads).await?;
                    Ok::<_, Error>((file, Arc::from(content)))
                });
                known.extend(try_join_all(read).await?);
            }
        }
    }
}

/// Reads the contents of files of the layers below; each layer is read once.
async fn lower(session: &Arc<Session>, changes: &Changes, below: &[Layer]) -> Result<Lower> {
    let mut wanted: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for entry in changes.values() {
        let EntryKind::File(data) = &entry.kind else { continue };
        for piece in data.pieces() {
            if let DataPiece::Lower(file) = piece {
                wanted.entry(file.layer).or_default().insert(file.path.to_vec());
            }
        }
    }
    let read = wanted.into_iter().map(async |(number, paths)| {
        let (cache, registries, threads) = (&session.cache, &session.registries, &session.threads);
        let contents = source::contents_at(&below[number], paths, cache, registries, threads).await?;
        Ok::<_, Error>(contents.into_iter().map(move |(path, content)| ((number, path), content)))
    });
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}

/// The tree of the layer, with the contents of its files.
fn tree(cache: &Cache, changes: Changes, lower: &Lower) -> Result<FileTree> {
    let mut entries = Vec::with_capacity(changes.len());
    for (path, Entry { kind, mode, uid, gid, xattrs }) in changes {
        let kind = match kind {
            EntryKind::File(data) => EntryKind::File(content(cache, &data, lower)?),
            EntryKind::Directory => EntryKind::Directory,
            EntryKind::Symlink(target) => EntryKind::Symlink(target),
            EntryKind::HardLink(target) => EntryKind::HardLink(target),
            EntryKind::Device(device) => EntryKind::Device(device),
            EntryKind::Whiteout => EntryKind::Whiteout,
            EntryKind::Opaque => EntryKind::Opaque,
        };
        entries.push((path, Entry { kind, mode, uid, gid, xattrs }));
    }
    FileTree::of(entries)
}

fn content(cache: &Cache, data: &Data, lower: &Lower) -> Result<Content> {
    match data.pieces() {
        [] => Ok(Content::Bytes(Arc::from(*b""))),
        [DataPiece::Text(bytes)] => Ok(Content::Bytes(bytes.clone())),
        [DataPiece::Lower(file)] => Ok(of_lower(file, lower)?.clone()),
        pieces => joined(cache, pieces, lower),
    }
}

fn of_lower<'l>(file: &LowerFile, lower: &'l Lower) -> Result<&'l Content> {
    lower.get(&(file.layer, file.path.to_vec())).ok_or_else(|| {
        let path = String::from_utf8_lossy(&file.path).into_owned();
        Error::LayerRead { source: std::io::Error::other(format!("{path} is missing in its layer")) }
    })
}

/// A file of the cache with these pieces, one after another.
fn joined(cache: &Cache, pieces: &[DataPiece], lower: &Lower) -> Result<Content> {
    let mut staged = cache.stage()?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; PIECE];
    for piece in pieces {
        let bytes: &[u8] = match piece {
            DataPiece::Text(bytes) => bytes,
            DataPiece::Lower(file) => match of_lower(file, lower)? {
                Content::Bytes(bytes) => bytes,
                Content::File(file) => {
                    let range = (file.path.as_path(), 0, file.stat.size);
                    size += copy(range, &mut buffer, &mut |piece| {
                        hash.update(piece);
                        staged.write_all(piece).map_err(|source| staged.failure(source))
                    })?;
                    continue;
                }
                Content::Zip(member) => {
                    let range = (member.archive.path.as_path(), member.offset, member.length);
                    size += copy(range, &mut buffer, &mut |piece| {
                        hash.update(piece);
                        staged.write_all(piece).map_err(|source| staged.failure(source))
                    })?;
                    continue;
                }
            },
        };
        hash.update(bytes);
        staged.write_all(bytes).map_err(|source| staged.failure(source))?;
        size += bytes.len() as u64;
    }
    let kept = cache.keep_file(staged, Digest::from_bytes(hash.finalize().into()), size)?;
    let found = std::fs::metadata(&kept.path);
    let stat = Stat::from(&found.map_err(|source| Error::Read { path: kept.path.clone(), source })?);
    Ok(Content::File(SourceFile { path: kept.path, stat, sha256: Some(kept.digest), lasting: true }))
}

/// Copies a range of a file; returns its length.
fn copy(
    (path, offset, length): (&std::path::Path, u64, u64),
    buffer: &mut [u8],
    out: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut left = length;
    while left > 0 {
        let wanted = left.min(buffer.len() as u64) as usize;
        file.read_exact(&mut buffer[..wanted]).map_err(failed)?;
        out(&buffer[..wanted])?;
        left -= wanted as u64;
    }
    Ok(length)
}
