//! Finished images, of which layers that Lambda refuses are mended: the same files and settings in other bytes.
//!
//! * All layers become gzip ([`rewrite`](super::rewrite)), and their media types those of one family.
//! * Directories get the entries that they lack ([`completion`](super::completion)). This changes the diff id of the layer,
//!   and so the image's id.
//!
//! An image for which nothing is changed keeps its config and its manifest, byte for byte.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::completion::completions;
use super::gzip;
use super::rewrite::completed;
use crate::engine::find::{self, ImageStore};
use crate::engine::inspect::{Scanner, scan};
use crate::engine::session::Session;
use crate::error::Result;
use crate::event::Event;
use crate::image::{Image, Layer, Location, Platform};
use crate::recipe::Base;
use crate::scan::{LayerScan, NoAnnotator, NoFact};

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
    let layers = gzip::layers(session, &store, &name, &found).await?;
    let image = Image::existing(&name, found.config.clone(), layers)?;
    // An image of this machine is not fetched: its layers in registries are those of the base that it was built on.
    let is_read = |layer: &Layer| {
        !(matches!(store, ImageStore::Local(_)) && matches!(layer.blob.location, Location::Registry(_)))
    };
    let scans = scans(session, &name, &image, scanner, is_read).await?;
    // A descriptor may give a wrong size.
    let real = |(layer, scan): (&Layer, &Option<LayerScan<NoFact>>)| {
        let mut layer = layer.clone();
        layer.blob.size = scan.as_ref().map_or(layer.blob.size, |scan| scan.stored);
        layer
    };
    let layers: Vec<Layer> = image.layers().iter().zip(&scans).map(real).collect();
    let completions = session.threads.run(1, move |_, _| Ok(completions(&scans, epoch))).await?;
    let mut mended = Vec::with_capacity(layers.len());
    for ((number, layer), (was, completion)) in
        layers.into_iter().enumerate().zip(found.layers.iter().zip(completions))
    {
        let directories: Vec<String> =
            completion.directories().map(|entry| entry.path.as_str().to_owned()).collect();
        let layer = match completion.is_empty() {
            true => layer,
            false => completed(session, &name, &layer, completion).await?,
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        if digest != was.digest {
            let was = was.digest;
            session.events.emit(Event::LayerMended { layer: number, was, digest, size, directories });
        }
        mended.push(layer);
    }
    Ok(image.with_layers(mended).read_with(&found.manifest))
}

/// The scan of each layer that is read; `None` also for one that has a fault, which the check reports, or another tar than
/// the config says.
async fn scans(
    session: &Arc<Session>,
    name: &str,
    image: &Image,
    scanner: Option<&Scanner>,
    is_read: impl Fn(&Layer) -> bool,
) -> Result<Vec<Option<LayerScan<NoFact>>>> {
    let passing = scanner.map(|scanner| scanner(image.config()));
    let scans = image.layers().iter().map(async |layer| {
        if !is_read(layer) {
            return Ok(None);
        }
        let scanned = match &passing {
            Some(passing) => passing.listed(name, &layer.blob).await,
            None => scan::listed(session, name, &layer.blob, Arc::new(NoAnnotator)).await,
        };
        match scanned {
            Ok(scan) => Ok(Some(scan).filter(|scan| scan.diff_id == layer.diff_id)),
            Err(error) if error.is_of_layer() && !session.cache.lost(&error) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let scans: Vec<_> = scans.collect();
    stream::iter(scans).buffered(session.threads.all()).try_collect().await
}
