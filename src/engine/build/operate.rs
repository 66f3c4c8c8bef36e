//! Makes the layer of a line's operations: the line runs in a model of the files of all layers below.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;

use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};

use super::add::{Adding, Making, Outcome};
use super::cached::Known;
use super::content::{bytes_of, read};
use super::mounts::MountFiles;
use super::placed::scans_of;
use super::planned_run::PlannedLine;
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
        let mounted = Arc::new(self.mounted(&planned.run.mounts).await?);
        let changes = changes(self.session, planned, scans, below, &mounted).await?;
        if changes.is_empty() {
            if let Some(key) = key {
                Known::keep_nothing(&self.session.cache, key)?;
            }
            return Ok((key, Known(None), false));
        }
        let found = match found {
            Some(Known(None)) if self.caching == Caching::Verify => {
                return Err(Error::CacheRemade { layer: name.to_owned() });
            }
            found => found.and_then(|found| found.0),
        };
        let lower = lower(self.session, &changes, below, &mounted).await?;
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
    mounted: &MountFiles,
) -> Result<Changes> {
    let mut known: Vec<(LowerFile, Arc<[u8]>)> = Vec::new();
    let mounts = Arc::new(planned.run.mounts.for_operations(mounted, below.len()));
    loop {
        let (planned, scans, contents) = (planned.clone(), scans.clone(), known.clone());
        let mounts = mounts.clone();
        let run = move |_, _: &_| {
            let mut files = Filesystem::of(&view(&scans), |file| (file.size, file.sha256()));
            contents.into_iter().for_each(|(file, content)| files.know(file, content));
            let failed = |fault| planned.origin.failed_at("--mount", fault, None);
            mounts.iter().try_for_each(|mount| files.mount(mount)).map_err(failed)?;
            let done = planned.line.run(&mut files, source::export_lock);
            files.unmount();
            Ok((done, planned, files.changes()))
        };
        let (done, planned, changes) = session.threads.run(1, run).await?;
        match done {
            Ok(passed_over) => {
                let (file, line) = (&planned.origin.file, planned.origin.line);
                for (command, fault) in passed_over {
                    let fault = planned.run.hide(&format!("`{command}` fails: {fault}"));
                    session.events.warn(format!("{file}:{line}: {fault}"), None);
                }
                return Ok(changes);
            }
            Err(Stop::Failed { command, fault }) => {
                let fault = planned.run.hide(&format!("`{command}` fails: {fault}"));
                return Err(planned.origin.failed_at(&command, fault, None));
            }
            Err(Stop::Needs(files)) => {
                let read = files.into_iter().map(async |file| {
                    let content = match below.get(file.layer) {
                        Some(layer) => {
                            source::file_of(layer, &file.path, &session.registries, &session.threads).await?
                        }
                        None => bytes_of(of_mount(&file, below, mounted)?)?,
                    };
                    Ok::<_, Error>((file, Arc::from(content)))
                });
                known.extend(try_join_all(read).await?);
            }
        }
    }
}

/// The content of a file whose layer stands for a mount.
fn of_mount<'m>(file: &LowerFile, below: &[Layer], mounted: &'m MountFiles) -> Result<&'m Content> {
    let content = file.layer.checked_sub(below.len()).and_then(|number| mounted.get(number, &file.path));
    content.ok_or_else(|| missing(file))
}

/// Reads the contents of files of the layers below; each layer is read once.
async fn lower(
    session: &Arc<Session>,
    changes: &Changes,
    below: &[Layer],
    mounted: &MountFiles,
) -> Result<Lower> {
    let mut wanted: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let mut contents = Lower::new();
    for entry in changes.values() {
        let EntryKind::File(data) = &entry.kind else { continue };
        for piece in data.pieces() {
            let DataPiece::Lower(file) = piece else { continue };
            let path = file.path.to_vec();
            if file.layer < below.len() {
                wanted.entry(file.layer).or_default().insert(path);
            } else {
                contents.insert((file.layer, path), of_mount(file, below, mounted)?.clone());
            }
        }
    }
    let read = wanted.into_iter().map(async |(number, paths)| {
        let (cache, registries, threads) = (&session.cache, &session.registries, &session.threads);
        let contents = source::contents_at(&below[number], paths, cache, registries, threads).await?;
        Ok::<_, Error>(contents.into_iter().map(move |(path, content)| ((number, path), content)))
    });
    contents.extend(try_join_all(read).await?.into_iter().flatten());
    Ok(contents)
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
    lower.get(&(file.layer, file.path.to_vec())).ok_or_else(|| missing(file))
}

fn missing(file: &LowerFile) -> Error {
    let path = String::from_utf8_lossy(&file.path).into_owned();
    Error::LayerRead { source: std::io::Error::other(format!("{path} is missing in its layer")) }
}

/// A file of the cache with these pieces, one after another.
fn joined(cache: &Cache, pieces: &[DataPiece], lower: &Lower) -> Result<Content> {
    let mut staged = cache.stage()?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    for piece in pieces {
        let content = match piece {
            DataPiece::Text(bytes) => &Content::Bytes(bytes.clone()),
            DataPiece::Lower(file) => of_lower(file, lower)?,
        };
        size += read(content, |bytes| {
            hash.update(bytes);
            staged.write_all(bytes).map_err(|source| staged.failure(source))
        })?;
    }
    let kept = cache.keep_file(staged, Digest::from_bytes(hash.finalize().into()), size)?;
    let found = std::fs::metadata(&kept.path);
    let stat = Stat::from(&found.map_err(|source| Error::Read { path: kept.path.clone(), source })?);
    Ok(Content::File(SourceFile { path: kept.path, stat, sha256: Some(kept.digest), lasting: true }))
}
