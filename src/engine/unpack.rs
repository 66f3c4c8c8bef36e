//! Unpacks a whole image, so that its programs can run.
//!
//! The files of all layers are in one directory of the cache. The layers of the base are unpacked once for all images on
//! it, and those above it once for all images that differ in the last layer, which is usually the code: an image takes
//! over their files by links.

use std::sync::Arc;

use super::build::unpack::{Unpacked, chains, new_root, root_key, saved_root};
use super::running::foreign;
use super::session::Session;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::rootfs::{self, Mode, OwnDirectory, Programs, UnpackedImage, UnpackedParts, Way};

/// Unpacks an image, unless the cache has its files.
pub(super) async fn unpack(session: &Arc<Session>, image: &Image) -> Result<UnpackedImage> {
    let platform = image.config().platform();
    let way = session.running.way_for(&platform.architecture, &session.cache).await;
    let way = way.map_err(|cannot| Error::CannotRun { fault: cannot.fault, hint: cannot.hint })?;
    if way.mode == Mode::Proot {
        let hint = "`lbuild doctor --run` shows what stands against namespaces and a chroot".to_owned();
        let fault =
            "a function cannot run here: proot would not keep it from the files of its user".to_owned();
        return Err(Error::CannotRun { fault, hint });
    }
    if let Programs::Refused(refused) = &way.programs {
        let (fault, hint) = foreign(&platform.architecture, *refused);
        return Err(Error::CannotRun { fault, hint: format!("{hint}, or use a machine for it") });
    }
    let (index, root) = files(session, &way, image).await?;
    let (cache, mode) = (session.cache.clone(), way.mode);
    let directories = Box::new(move || {
        let place = cache.workplace().map_err(std::io::Error::other)?;
        let place = match mode {
            // The kernel ends all processes with this one.
            Mode::Namespaces | Mode::Copy => place,
            Mode::Chroot | Mode::Proot => place.kept_for_the_next_run(),
        };
        let path = place.absolute().map_err(std::io::Error::other)?.join(rootfs::TREE);
        std::fs::create_dir(&path)?;
        Ok(OwnDirectory { path, _held: Box::new(place) })
    });
    Ok(UnpackedImage::new(UnpackedParts {
        config: image.config().clone(),
        way,
        files: root.files(),
        index,
        directories,
        _held: Box::new(root),
    }))
}

/// The files of all layers.
async fn files(session: &Arc<Session>, way: &Way, image: &Image) -> Result<Unpacked> {
    let layers = image.layers();
    let chains = chains(layers);
    let key = |count: usize| root_key(way, chains[count]);
    let mut found = None;
    for count in (1..=layers.len()).rev() {
        if let Some(unpacked) = saved_root(&session.cache, key(count))? {
            found = Some((count, unpacked));
            break;
        }
    }
    let start = found.as_ref().map_or(0, |(count, _)| *count);
    let base = layers.iter().take_while(|layer| layer.key.is_none()).count();
    let mut stops = vec![base, layers.len().saturating_sub(1).max(base), layers.len()];
    stops.retain(|stop| *stop > start);
    stops.dedup();
    for stop in stops {
        let (start, below) = found.as_ref().map_or((0, None), |(start, below)| (*start, Some(below)));
        let unpacked = new_root(session, way, below, &layers[start..stop], key(stop)).await?;
        found = Some((stop, unpacked));
    }
    match found {
        Some((_, unpacked)) => Ok(unpacked),
        // An image without layers.
        None => new_root(session, way, None, &[], key(0)).await,
    }
}
