//! An image that was built, and what its layers were made of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Shared;
use super::bridge::blocking;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Image, Location};
use crate::layer::survey::Annotate;
use crate::layer::{FileTree, Survey};

/// The files of layers, by the layers' digests, for who wants to look at them before they are sent.
#[derive(Clone, Default)]
pub(super) struct Trees(Arc<Mutex<HashMap<Digest, Arc<FileTree>>>>);

impl Trees {
    pub(super) fn keep(&self, layer: Digest, tree: FileTree) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, tree.into());
    }

    fn get(&self, layer: Digest) -> Option<Arc<FileTree>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}

/// An image that is about to be sent.
pub struct Built<'b> {
    /// The image.
    pub image: &'b Image,
    pub(super) shared: &'b Arc<Shared>,
    pub(super) trees: &'b Trees,
}

impl Built<'_> {
    /// What its layers hold, lowest first; `None` for layers of packages, and for those of the base that are neither
    /// on this machine nor were ever read: nothing is fetched, and no layer is unpacked that was packed just now.
    ///
    /// # Errors
    /// When a layer cannot be read, or is no whole layer.
    pub async fn survey(&self, annotator: Arc<dyn Annotate + Send>) -> Result<Vec<Option<Survey>>> {
        let mut surveys = Vec::with_capacity(self.image.layers().len());
        for layer in self.image.layers() {
            let (diff_id, annotator) = (layer.diff_id, annotator.clone());
            surveys.push(match (self.trees.get(layer.blob.digest), &layer.key, &layer.blob.location) {
                (Some(tree), ..) => {
                    Some(blocking(move |_| Survey::of_tree(&tree, diff_id, &*annotator)).await?)
                }
                // Packages were looked at when they were chosen and installed.
                (None, Some(_), _) => None,
                (None, None, Location::Registry(_)) => self.shared.surveyed(layer.blob.digest, &*annotator),
                (None, None, _) => self.survey_base(layer.blob.clone(), annotator).await?,
            });
        }
        Ok(surveys)
    }

    /// A layer of the base that is on this machine. One of the cache that is damaged, or was pruned meanwhile, is known
    /// no more; the push makes it anew when it comes to it.
    async fn survey_base(&self, blob: Blob, annotator: Arc<dyn Annotate + Send>) -> Result<Option<Survey>> {
        let cache = &self.shared.cache;
        match self.shared.survey_layer("the image", blob, annotator).await {
            Err(Error::CorruptFile { path, .. } | Error::BlobRead { path, .. }) if cache.holds(&path) => {
                Ok(None)
            }
            survey => survey.map(Some),
        }
    }
}
