//! What the layers of an image hold: each is read once, and remembered.

use std::io::{BufRead, BufReader};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::base::Found;
use super::bridge::blocking;
use super::{Shared, base};
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Descriptor, Digest, Layer, Location};
use crate::layer::MAX_LAYER;
use crate::scan::{self, Annotate, LayerScan, RecognizedFiles};
use crate::store;
use crate::tree::FileTree;

/// The files that all layers may have together, counted in bytes of what is kept of them: no image that Lambda takes
/// has a tenth of it.
const MAX_KEPT: usize = 1 << 30;

impl Shared {
    /// What each layer holds; `None` for one that is elsewhere, or no tar at all.
    pub(super) async fn survey<A: Annotate + Send + 'static>(
        self: &Arc<Self>,
        found: &Found,
        annotator: Arc<A>,
    ) -> Result<Vec<Option<LayerScan<A::Fact>>>> {
        let (place, name) = base::place(self, &found.base).await?;
        let kept = Arc::new(AtomicUsize::new(0));
        let one = |layer: Descriptor| {
            let blob = self.cache.blob(layer.digest, layer.size);
            let blob = blob.unwrap_or_else(|| place.blob(layer.digest, layer.size));
            let (shared, name, annotator) = (self.clone(), name.clone(), annotator.clone());
            let kept = kept.clone();
            async move {
                if Compression::of(&layer.media_type).is_none() {
                    return Ok(None);
                }
                let digest = blob.digest;
                let survey = shared.survey_layer(&name, blob, annotator).await?;
                if kept.fetch_add(survey.memory(), Relaxed) > MAX_KEPT {
                    let source =
                        std::io::Error::other("with those below it, it has more files than any image");
                    let source = Error::LayerRead { source }.into();
                    return Err(Error::Survey { image: name, digest, source });
                }
                Ok(Some(survey))
            }
        };
        let layers: Vec<_> = found.layers.iter().cloned().map(one).collect();
        stream::iter(layers).buffered(self.jobs).try_collect().await
    }

    /// What was found when the layer was read before.
    pub(super) fn surveyed<A: Annotate>(&self, layer: Digest, annotator: &A) -> Option<LayerScan<A::Fact>> {
        self.cache.noted(key(annotator, layer)).and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// What the layer of a tree holds. What its files told is kept: the next image has most layers of the last.
    pub(super) fn survey_tree<A: Annotate>(
        &self,
        tree: &FileTree,
        layer: &Layer,
        annotator: &A,
    ) -> Result<LayerScan<A::Fact>> {
        let diff_id = layer.diff_id;
        // That a layer elsewhere has this digest is what a history says, and nobody here has seen.
        if matches!(layer.blob.location, Location::Registry(_)) {
            return Ok(LayerScan::of_tree(tree, diff_id, annotator)?.0);
        }
        let key = of_tree(annotator, layer.blob.digest);
        let known = self.cache.noted(key);
        let known = known.and_then(|bytes| serde_json::from_slice::<RecognizedFiles<A::Fact>>(&bytes).ok());
        if let Some(known) = known {
            return LayerScan::of_known_tree(tree, diff_id, &known);
        }
        let (survey, found) = LayerScan::of_tree(tree, diff_id, annotator)?;
        if let Some(Ok(bytes)) = found.map(|found| serde_json::to_vec(&found)) {
            // A cache that cannot be written costs time, no more.
            let _ = self.cache.note(key, &bytes);
        }
        Ok(survey)
    }

    pub(super) async fn survey_layer<A: Annotate + Send + 'static>(
        self: &Arc<Self>,
        image: &str,
        blob: Blob,
        annotator: Arc<A>,
    ) -> Result<LayerScan<A::Fact>> {
        let key = key(&*annotator, blob.digest);
        if let Some(known) = self.surveyed(blob.digest, &*annotator) {
            return Ok(known);
        }
        let mut retry = self.registries.retry();
        let survey = loop {
            match self.read_layer(&blob, annotator.clone()).await {
                Ok(survey) => break survey,
                Err((_, Some(error))) => retry.after(error).await?,
                Err((error, None)) => {
                    let (image, digest) = (image.to_owned(), blob.digest);
                    return Err(Error::Survey { image, digest, source: error.into() });
                }
            }
        };
        // A cache that cannot be written costs time, no more.
        if let Ok(bytes) = serde_json::to_vec(&survey) {
            let _ = self.cache.note(key, &bytes);
        }
        Ok(survey)
    }

    /// Fails with what went wrong in the end, and with what went wrong on the way to here, when that was the cause.
    async fn read_layer<A: Annotate + Send + 'static>(
        self: &Arc<Self>,
        blob: &Blob,
        annotator: Arc<A>,
    ) -> std::result::Result<LayerScan<A::Fact>, (Error, Option<Error>)> {
        let bytes = store::open(&self.registries, blob).await.map_err(|error| (error, None))?;
        // The decoder sees a broken stream as an I/O error of no kind; what broke it is kept aside.
        let cause = Arc::new(Mutex::new(None));
        let aside = cause.clone();
        let bytes = bytes.map_err(move |error| {
            let text = error.to_string();
            *aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            std::io::Error::other(text)
        });
        let reader = BufReader::with_capacity(256 << 10, SyncIoBridge::new(StreamReader::new(bytes)));
        let done = blocking(move |stop| {
            let tick = |_| if stop.load(Relaxed) { Err(Error::Interrupted) } else { Ok(()) };
            let (reader, compression) = sniffed(reader)?;
            LayerScan::of(reader, compression, MAX_LAYER, &*annotator, tick)
        });
        done.await.map_err(|error| (error, cause.lock().unwrap_or_else(PoisonError::into_inner).take()))
    }
}

fn key(annotator: &impl Annotate, layer: Digest) -> Digest {
    Digest::of(format!("{} {} {layer}", scan::VERSION, annotator.name()).as_bytes())
}

/// Of a layer whose tree is here, less is kept.
fn of_tree(annotator: &impl Annotate, layer: Digest) -> Digest {
    Digest::of(format!("files {} {} {layer}", scan::VERSION, annotator.name()).as_bytes())
}

/// How a layer is compressed in fact: what its media type says is another matter.
fn sniffed<R: BufRead>(mut layer: R) -> Result<(R, Compression)> {
    let start = layer.fill_buf().map_err(|source| Error::LayerRead { source })?;
    let compression = Compression::sniff(start);
    Ok((layer, compression))
}
