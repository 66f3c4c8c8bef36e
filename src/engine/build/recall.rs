//! Finds the layers of an install although layers below it have changed, if it reads nothing of what has changed.
//!
//! An install depends on the names and kinds of all files below it, but on the contents of a few files only: lists of
//! requirements, metadata of packages, settings, and the C library. So its shape has the base, and of each layer of this
//! build that was made from files only their names and kinds. A record says which contents an install of a shape has
//! read. If a later install of the same shape would read the same contents, it has the same layers. Neither a layer of
//! the base nor an index is asked for then.

use super::add::Adding;
use super::cached::{StepLayer, step_of};
use super::content::bytes_of;
use super::reads::{InstallReads, MOST, ReadContent, ReadFile};
use crate::engine::contents::{Contents, ContentsKind};
use crate::engine::session::Caching;
use crate::error::Result;
use crate::image::{Digest, Layer, LayerKey};
use crate::store::Cache;
use crate::tree::{Content, EntryKind};

impl Adding<'_> {
    /// The digest over all that an install with this key depends on, besides contents.
    pub(super) fn shape(&self, key: LayerKey, below: &[Layer]) -> Digest {
        let layers = below.iter().map(|layer| match self.structures.get(layer) {
            Some(structure) => structure.to_string(),
            None => format!("layer {}", layer.diff_id),
        });
        let layers = layers.collect::<Vec<_>>().join(" ");
        Digest::of(format!("shape-1 {} {layers}", key.0).as_bytes())
    }

    /// The record of an install that has read these files.
    pub(super) fn reads(
        &self,
        shape: Digest,
        below: &[Layer],
        read: impl Iterator<Item = ReadFile>,
    ) -> Option<InstallReads> {
        let mut reads = Vec::new();
        for (layer, path, sha256) in read {
            // A whole layer is part of the shape, unless its structure is.
            if below.get(layer).is_none_or(|layer| self.structures.get(layer).is_none()) {
                continue;
            }
            // Without a digest it cannot be told whether a later content is the same.
            let (diff_id, path, sha256) = (below[layer].diff_id, String::from_utf8(path).ok()?, sha256?);
            reads.push(ReadContent { layer, diff_id, path, sha256 });
        }
        reads.sort_by(|a, b| (a.layer, &a.path).cmp(&(b.layer, &b.path)));
        reads.dedup();
        (reads.len() <= MOST).then_some(InstallReads { shape, reads })
    }

    /// The layers of an install that was done before, and what it has read.
    pub(super) async fn found_install(
        &self,
        key: LayerKey,
        shape: Digest,
        below: &[Layer],
    ) -> Result<Option<(Vec<StepLayer>, Option<InstallReads>)>> {
        if self.caching != Caching::On {
            return Ok(None);
        }
        if let Some(layers) = step_of(&self.session.cache, key) {
            return Ok(Some((layers, reads_of(&self.session.cache, key))));
        }
        if let Some(layers) = self.cached.step(key).await {
            let reads = self.cached.reads(|of, _| of == key).await;
            return Ok(Some((layers, reads.into_iter().next().map(|(_, reads)| reads))));
        }
        let recalled = self.recalled(shape, below).await?;
        Ok(recalled.map(|(layers, reads)| (layers, Some(reads))))
    }

    /// The layers of an install of the same shape that has read the same contents, and the record of this one.
    async fn recalled(
        &self,
        shape: Digest,
        below: &[Layer],
    ) -> Result<Option<(Vec<StepLayer>, InstallReads)>> {
        let mut records: Vec<(LayerKey, InstallReads)> = Vec::new();
        records.extend(noted(&self.session.cache, shape));
        records.extend(self.cached.reads(|_, reads| reads.shape == shape).await);
        for (key, record) in records {
            let Some(reads) = self.same(&record, below)? else { continue };
            let mut layers = step_of(&self.session.cache, key);
            if layers.is_none() {
                layers = self.cached.step(key).await;
            }
            if let Some(layers) = layers {
                return Ok(Some((layers, InstallReads { shape, reads })));
            }
        }
        Ok(None)
    }

    /// The reads of a record with the layers of now, if their contents are the same.
    fn same(&self, record: &InstallReads, below: &[Layer]) -> Result<Option<Vec<ReadContent>>> {
        let mut reads = Vec::new();
        for read in &record.reads {
            let Some(layer) = below.get(read.layer) else { return Ok(None) };
            if layer.diff_id != read.diff_id && self.content(layer, &read.path)? != Some(read.sha256) {
                return Ok(None);
            }
            reads.push(ReadContent { diff_id: layer.diff_id, ..read.clone() });
        }
        Ok(Some(reads))
    }

    /// The digest of a file of a layer that this build has made.
    fn content(&self, layer: &Layer, path: &str) -> Result<Option<Digest>> {
        let Some(Contents { tree, kind: ContentsKind::Files, .. }) = self.trees.get(layer.blob.digest) else {
            return Ok(None);
        };
        match tree.get(path.as_bytes()).map(|entry| &entry.kind) {
            Some(EntryKind::File(Content::File(file))) if file.sha256.is_some() => Ok(file.sha256),
            Some(EntryKind::File(content)) => Ok(Some(Digest::of(&bytes_of(content)?))),
            _ => Ok(None),
        }
    }
}

/// The record of the last install of a shape on this machine, with the key of its step.
fn noted(cache: &Cache, shape: Digest) -> Option<(LayerKey, InstallReads)> {
    serde_json::from_slice(&cache.noted(shape_key(shape))?).ok()
}

/// The record of the step with this key on this machine.
fn reads_of(cache: &Cache, key: LayerKey) -> Option<InstallReads> {
    serde_json::from_slice(&cache.noted(reads_key(key))?).ok()
}

/// Keeps the record of a step in the cache of this machine.
pub(super) fn keep_reads(cache: &Cache, key: LayerKey, reads: &InstallReads) -> Result<()> {
    cache.note(reads_key(key), serde_json::json!(reads).to_string().as_bytes())?;
    cache.note(shape_key(reads.shape), serde_json::json!([key, reads]).to_string().as_bytes())
}

fn reads_key(key: LayerKey) -> Digest {
    Digest::of(format!("reads {}", key.0).as_bytes())
}

fn shape_key(shape: Digest) -> Digest {
    Digest::of(format!("shape {shape}").as_bytes())
}
