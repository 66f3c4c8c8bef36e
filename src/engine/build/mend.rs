//! Finished images, of which layers that Lambda refuses are mended: the same files and settings in other bytes.
//!
//! * All layers become gzip, and their media types those of one family.
//! * Directories get the entries that they lack ([`completion`](super::completion)). This changes the diff id of the layer,
//!   and so the image's id.
//!
//! An image for which nothing is changed keeps its config and its manifest, byte for byte.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::completion::completions;
use super::gzip::{self, Declared};
use super::rewrite::{completed, recompressed};
use crate::engine::find::{self, StoredImage};
use crate::engine::inspect::{Scanner, scan};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Compression, Config, Image, Layer, Location, Platform};
use crate::layer::Completion;
use crate::recipe::Base;
use crate::scan::{LayerScan, NoAnnotator, NoFact};

type Scan = LayerScan<NoFact>;

/// A finished image, mended. `epoch` is the time of the directories that are added. The layers are scanned by `scanner`, if
/// they are scanned for a check afterwards.
pub(super) async fn finished(
    session: &Arc<Session>,
    base: &Base,
    platform: &Platform,
    epoch: u64,
    scanner: Option<&Scanner>,
) -> Result<Image> {
    let (store, name, found) = find::resolve(session, base, platform).await?;
    let declared = gzip::declared(&store, &name, &found)?;
    let layers = declared.iter().map(|declared| declared.layer.clone()).collect();
    let image = Image::existing(&name, found.config.clone(), layers)?;
    let scans = scans(session, &name, base, &found, &declared, scanner).await?;
    // A descriptor may give a wrong size or compression.
    let real = |(declared, scan): (Declared, &Option<Scan>)| match scan {
        Some(scan) => {
            let mut layer = declared.layer;
            layer.blob.size = scan.stored;
            (layer, scan.compression)
        }
        None => (declared.layer, declared.compression),
    };
    let layers: Vec<_> = declared.into_iter().zip(&scans).map(real).collect();
    let completions = session.threads.run(1, move |_, _| Ok(completions(&scans, epoch))).await?;
    let mut mended = Vec::with_capacity(layers.len());
    for (number, ((layer, compression), completion)) in layers.into_iter().zip(completions).enumerate() {
        mended.push(layer_mended(session, &name, number, layer, compression, completion).await?);
    }
    Ok(image.with_layers(mended).read_with(&found.manifest))
}

/// A layer that Lambda accepts, and an event if it is another one.
async fn layer_mended(
    session: &Arc<Session>,
    image: &str,
    number: usize,
    layer: Layer,
    compression: Compression,
    completion: Completion,
) -> Result<Layer> {
    let first = completion.directories().next().map(|entry| entry.path.as_str().to_owned());
    let directories = completion.directories().count();
    let was = layer.blob.digest;
    // The scan has fetched the layer.
    let nearest = Layer { blob: session.nearest(&layer.blob), ..layer.clone() };
    let mended = match completion.is_empty() {
        false => Some(completed(session, image, &nearest, completion).await?),
        true => recompressed(session, image, &nearest.blob, compression).await?,
    };
    let Some(mended) = mended else { return Ok(layer) };
    if directories == 0 {
        gzip::same_tar(image, &layer, &mended)?;
    }
    let (digest, size, compressed) = (mended.blob.digest, mended.blob.size, compression != Compression::Gzip);
    let (layer, directory) = (number, first);
    session.events.emit(Event::LayerMended { layer, was, digest, size, compressed, directories, directory });
    Ok(mended)
}

/// The scan of each layer; `None` for one that is not read, that has a fault, which the check reports, or that is another tar
/// than the config says.
async fn scans(
    session: &Arc<Session>,
    name: &str,
    base: &Base,
    found: &StoredImage,
    declared: &[Declared],
    scanner: Option<&Scanner>,
) -> Result<Vec<Option<Scan>>> {
    let passing = scanner.map(|scanner| scanner(&found.config));
    let (bare, budget) = (Arc::new(NoAnnotator), scan::budget(&Arc::new(NoAnnotator)));
    let scans = declared.iter().map(async |Declared { layer, .. }| {
        if is_of_base(base, &found.config, layer) {
            return Ok(None);
        }
        let scanned = match &passing {
            Some(passing) => passing.listed(name, &layer.blob).await,
            None => scan::listed(session, name, &layer.blob, bare.clone(), &budget).await,
        };
        match scanned {
            Ok(scan) => Ok(Some(scan).filter(|scan| scan.diff_id == layer.diff_id)),
            Err(error) if session.cache.lost(&error) => Err(error),
            Err(error) if error.is_of_layer() || is_too_large(&error) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let scans: Vec<_> = scans.collect();
    let at_once = scan::at_once(session, &found.layers);
    stream::iter(scans).buffered(at_once).try_collect().await
}

/// Whether a layer of a finished image is one of the base on which this machine has built the image: the base is not fetched
/// only to push the image, and is in a registry already.
pub(super) fn is_of_base(image: &Base, config: &Config, layer: &Layer) -> bool {
    matches!((image, &layer.blob.location), (Base::Local { .. }, Location::Registry(_)))
        && config.history().iter().any(|entry| entry.key.is_some())
}

/// Whether a layer has more files than fit into memory, which is an error only of the check.
fn is_too_large(error: &Error) -> bool {
    matches!(error, Error::Scan { source, .. } if matches!(**source, Error::TooManyFiles { .. }))
}
