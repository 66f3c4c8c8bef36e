//! From a base's name to an [`Image`]: its manifest for one platform, its config, its layers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::de;

use super::Shared;
use super::bridge::blocking;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{
    Blob, Compression, Config, Descriptor, Digest, Image, Index, Layer, Location, Manifest, Parsed, Platform,
    Reference, parse_manifest,
};
use crate::recipe::Base;
use crate::store::{Archive, Layout, Repository};

/// An image as a store holds it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name, pinned to the manifest's digest.
    pub base: Base,
    /// The index that the name led to, if it did not lead to the manifest itself.
    pub index: Option<Digest>,
    /// The manifest for the platform.
    pub manifest: Manifest,
    /// What the manifest says of each layer, lowest first.
    pub layers: Vec<Descriptor>,
    /// The config.
    pub config: Config,
    /// The digest of the config.
    pub config_digest: Digest,
}

/// What a name stands for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Inspected {
    /// One image.
    Image(Box<Found>),
    /// An index over several, of which none was chosen.
    Index {
        /// The index's own digest.
        digest: Digest,
        /// Its entries.
        index: Index,
    },
}

/// A base on its way into a build.
pub(super) struct Resolved {
    pub(super) image: Image,
    /// The manifest's digest.
    pub(super) digest: Option<Digest>,
}

/// The places that bases come from, behind the same three questions.
pub(super) enum Place {
    Archive(Arc<Archive>),
    Registry(Repository),
    Layout(Layout),
}

/// Whether a manifest that is known here by its digest is asked for all the same: the registry may have lost it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Enough,
    Asked,
}

impl Place {
    async fn small_blob(&self, shared: &Arc<Shared>, digest: Digest, size: u64) -> Result<Vec<u8>> {
        match self {
            // An archive is asked for no other.
            Place::Archive(archive) => Ok(archive.config()),
            Place::Layout(layout) => layout.small_blob(digest),
            Place::Registry(repository) => shared.small_blob(repository, digest, size).await,
        }
    }

    async fn manifest(
        &self,
        shared: &Arc<Shared>,
        target: Option<&str>,
        media_type: &str,
        known: Known,
    ) -> Result<Option<Manifest>> {
        match self {
            Place::Archive(archive) => Ok(archive.manifest(target)),
            Place::Layout(layout) => layout.manifest(target),
            Place::Registry(repository) => {
                let target = target.unwrap_or("latest");
                let digest = target.parse::<Digest>().ok().filter(|_| known == Known::Enough);
                if let Some(bytes) = digest.and_then(|digest| shared.cache.bytes(digest)) {
                    return Ok(Some(Manifest::stored(media_type.to_owned(), bytes)));
                }
                let found = repository.manifest(target).await?;
                if let Some(manifest) = &found {
                    // A cache that cannot be written costs a request, no more.
                    let _ = shared.cache.put_bytes(&manifest.bytes);
                }
                Ok(found)
            }
        }
    }

    pub(super) fn blob(&self, digest: Digest, size: u64) -> Blob {
        match self {
            Place::Archive(archive) => archive.blob(digest, size),
            Place::Layout(layout) => layout.blob(digest, size),
            Place::Registry(repository) => {
                Blob { digest, size, location: Location::Registry(repository.name().clone()) }
            }
        }
    }
}

impl Shared {
    /// A config of a registry: from the cache when it is there, and there from now on.
    pub(super) async fn small_blob(
        &self,
        repository: &Repository,
        digest: Digest,
        size: u64,
    ) -> Result<Vec<u8>> {
        if let Some(bytes) = self.cache.bytes(digest) {
            return Ok(bytes);
        }
        let bytes = repository.small_blob(digest, size).await?;
        // A cache that cannot be written costs a request, no more.
        let _ = self.cache.put_bytes(&bytes);
        Ok(bytes)
    }
}

/// The image of a base that is no stage, with every layer as gzip.
pub(super) async fn resolve(shared: &Arc<Shared>, base: &Base, platform: &Platform) -> Result<Resolved> {
    if matches!(base, Base::Scratch | Base::Stage(_)) {
        return Ok(Resolved { image: Image::scratch(platform), digest: None });
    }
    let (place, name, found) = for_platform(shared, base, platform).await?;
    let digest = Some(found.manifest.digest);
    let layers = layers(shared, &place, &name, &found).await?;
    Ok(Resolved { image: Image::existing(&name, found.config, layers)?, digest })
}

/// Manifest and config of the base's image for the platform; its layers are left alone.
pub(super) async fn for_platform(
    shared: &Arc<Shared>,
    base: &Base,
    platform: &Platform,
) -> Result<(Place, String, Found)> {
    let (place, name) = place(shared, base).await?;
    let found = match find(shared, &place, base, &name, Some(platform), Known::Enough).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { index, .. } => return Err(not_offered(&name, platform, index.platforms())),
    };
    if !found.config.platform().satisfies(platform) {
        return Err(not_offered(&name, platform, vec![found.config.platform()]));
    }
    let (image, digest) = (name.clone(), found.manifest.digest);
    shared.events.emit(Event::Base { image, digest, platform: found.config.platform() });
    Ok((place, name, found))
}

/// An image as it is stored; its platform is not judged.
pub(super) async fn inspect(
    shared: &Arc<Shared>,
    base: &Base,
    platform: Option<&Platform>,
) -> Result<Inspected> {
    let (place, name) = place(shared, base).await?;
    match find(shared, &place, base, &name, platform, Known::Asked).await? {
        Inspected::Index { index, .. } if platform.is_some() => {
            let wanted = platform.cloned().unwrap_or_else(|| unreachable!("asked in the guard"));
            Err(not_offered(&name, &wanted, index.platforms()))
        }
        found => Ok(found),
    }
}

/// Archives that were opened, by file and image: what is in one may have to be hashed to be named.
#[derive(Default)]
pub(super) struct Archives(Mutex<HashMap<Opened, Arc<Archive>>>);

/// A file as it is now, and an image in it.
type Opened = (PathBuf, Option<String>, Option<(u64, Option<SystemTime>)>);

async fn archive(shared: &Arc<Shared>, path: &Path, name: Option<&Reference>) -> Result<Arc<Archive>> {
    let stat = std::fs::metadata(path).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
    let key = (path.to_owned(), name.map(ToString::to_string), stat);
    let archives = || shared.archives.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = archives().get(&key) {
        return Ok(known.clone());
    }
    let (path, name) = (path.to_owned(), name.cloned());
    let archive = Arc::new(blocking(move |stop| Archive::open(&path, name.as_ref(), stop)).await?);
    archives().insert(key, archive.clone());
    Ok(archive)
}

pub(super) async fn place(shared: &Arc<Shared>, base: &Base) -> Result<(Place, String)> {
    match base {
        Base::Registry(name) => Ok((Place::Registry(shared.registries.source(name)), name.to_string())),
        Base::Layout { path, tag, .. } => {
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            Ok((Place::Layout(Layout::open(path)?), format!("oci:{}{tag}", path.display())))
        }
        Base::Archive { path, name, .. } => {
            let archive = archive(shared, path, name.as_ref()).await?;
            let name = name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            Ok((Place::Archive(archive), format!("docker-archive:{}{name}", path.display())))
        }
        Base::Scratch | Base::Stage(_) => Err(Error::Location {
            location: format!("{base:?}"),
            expected: "an image in a registry, layout or archive",
        }),
    }
}

async fn find(
    shared: &Arc<Shared>,
    place: &Place,
    base: &Base,
    name: &str,
    platform: Option<&Platform>,
    known: Known,
) -> Result<Inspected> {
    let target = match base {
        Base::Registry(reference) => Some(reference.target()),
        Base::Layout { digest: Some(digest), .. } | Base::Archive { digest: Some(digest), .. } => {
            Some(digest.to_string())
        }
        Base::Layout { tag, .. } => tag.clone(),
        Base::Archive { .. } | Base::Scratch | Base::Stage(_) => None,
    };
    let no_image = || Error::NoSuchImage { image: name.to_owned() };
    let manifest = place.manifest(shared, target.as_deref(), "", known).await?.ok_or_else(no_image)?;
    let (index, manifest, parsed) = match parse_manifest(name, &manifest.bytes)? {
        Parsed::Index(index) => {
            let digest = manifest.digest;
            let offered = index.platforms();
            let wanted = platform.or(if let [only] = &offered[..] { Some(only) } else { None });
            let Some(entry) = wanted.and_then(|wanted| index.for_platform(wanted)) else {
                return Ok(Inspected::Index { digest, index });
            };
            let target = entry.digest.to_string();
            let manifest = place
                .manifest(shared, Some(&target), &entry.media_type, known)
                .await?
                .ok_or_else(no_image)?;
            let parsed = parse_manifest(name, &manifest.bytes)?;
            (Some(digest), manifest, parsed)
        }
        image => (None, manifest, image),
    };
    let Parsed::Image { config, layers } = parsed else {
        return Err(Error::ManifestSchema { image: name.to_owned() });
    };
    let bytes = place.small_blob(shared, config.digest, config.size).await?;
    Ok(Inspected::Image(Box::new(Found {
        base: pinned(base, manifest.digest),
        index,
        config: Config::parse(name, &bytes)?,
        config_digest: config.digest,
        manifest,
        layers,
    })))
}

fn pinned(base: &Base, digest: Digest) -> Base {
    match base {
        Base::Registry(name) => Base::Registry(name.pinned(digest)),
        Base::Layout { path, tag, .. } => {
            Base::Layout { path: path.clone(), tag: tag.clone(), digest: Some(digest) }
        }
        Base::Archive { path, name, .. } => {
            Base::Archive { path: path.clone(), name: name.clone(), digest: Some(digest) }
        }
        other => other.clone(),
    }
}

fn not_offered(image: &str, wanted: &Platform, offered: Vec<Platform>) -> Error {
    Error::PlatformNotOffered { image: image.to_owned(), wanted: wanted.clone(), offered }
}

fn parse_diff_id(image: &str, text: &str) -> Result<Digest> {
    let fail = |error: Error| Error::Config { image: image.to_owned(), source: de::Error::custom(error) };
    text.parse().map_err(fail)
}

/// The base's layers: gzip ones as they are, others made so.
async fn layers(shared: &Arc<Shared>, place: &Place, name: &str, found: &Found) -> Result<Vec<Layer>> {
    let diff_ids = found.config.diff_ids();
    if diff_ids.len() != found.layers.len() {
        let (manifest, config) = (found.layers.len(), diff_ids.len());
        return Err(Error::LayersMismatch { image: name.to_owned(), manifest, config });
    }
    let mut layers = Vec::with_capacity(found.layers.len());
    for (layer, diff_id) in found.layers.iter().zip(diff_ids) {
        let compression = Compression::of(&layer.media_type).ok_or_else(|| Error::ForeignLayer {
            image: name.to_owned(),
            digest: layer.digest,
            media_type: layer.media_type.clone(),
        })?;
        let blob = place.blob(layer.digest, layer.size);
        let layer = match compression {
            Compression::Gzip => Layer { blob, diff_id: parse_diff_id(name, diff_id)?, key: None },
            compression => super::recompress::recompressed(shared, name, blob, compression).await?,
        };
        if layer.diff_id.to_string() != diff_id {
            return Err(Error::DiffId {
                image: name.to_owned(),
                digest: layer.blob.digest,
                expected: diff_id.to_owned(),
                got: layer.diff_id,
            });
        }
        layers.push(layer);
    }
    Ok(layers)
}
