//! An image that was built, and what its layers were made of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Shared;
use super::bridge::blocking;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Image, Layer, Location};
use crate::scan::{Annotate, LayerScan};
use crate::tree::FileTree;

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

/// Which layers of an image that was built are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of files, and of the base those that are on this machine or were read before: nothing is fetched, and
    /// none is unpacked that was packed just now.
    AtHand,
    /// All, wherever they are.
    Everything,
}

impl Built<'_> {
    /// What its layers hold, lowest first; `None` for what is out of reach.
    ///
    /// # Errors
    /// When a layer cannot be read, or is no whole layer.
    pub async fn survey<A: Annotate + Send + 'static>(
        &self,
        annotator: Arc<A>,
        reach: Reach,
    ) -> Result<Vec<Option<LayerScan<A::Fact>>>> {
        let one = |layer: &Layer| self.survey_of(layer.clone(), annotator.clone(), reach);
        let layers: Vec<_> = self.image.layers().iter().map(one).collect();
        stream::iter(layers).buffered(self.shared.jobs).try_collect().await
    }

    async fn survey_of<A: Annotate + Send + 'static>(
        &self,
        layer: Layer,
        annotator: Arc<A>,
        reach: Reach,
    ) -> Result<Option<LayerScan<A::Fact>>> {
        match (self.trees.get(layer.blob.digest), &layer.key, &layer.blob.location) {
            (Some(tree), ..) => {
                let shared = self.shared.clone();
                blocking(move |_| shared.survey_tree(&tree, &layer, &*annotator)).await.map(Some)
            }
            (None, ..) if reach == Reach::Everything => {
                self.shared.survey_layer("the image", layer.blob, annotator).await.map(Some)
            }
            // Packages were looked at when they were chosen and installed.
            (None, Some(_), _) => Ok(None),
            (None, None, Location::Registry(_)) => Ok(self.shared.surveyed(layer.blob.digest, &*annotator)),
            (None, None, _) => self.survey_base(layer.blob, annotator).await,
        }
    }

    /// A layer of the base that is on this machine. One of the cache that is damaged, or was pruned meanwhile, is known
    /// no more; the push makes it anew when it comes to it.
    async fn survey_base<A: Annotate + Send + 'static>(
        &self,
        blob: Blob,
        annotator: Arc<A>,
    ) -> Result<Option<LayerScan<A::Fact>>> {
        let cache = &self.shared.cache;
        match self.shared.survey_layer("the image", blob, annotator).await {
            Err(Error::CorruptFile { path, .. } | Error::BlobRead { path, .. }) if cache.holds(&path) => {
                Ok(None)
            }
            survey => survey.map(Some),
        }
    }
}
