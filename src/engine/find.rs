//! Finds stored images: from a name to the manifest for one platform, the config and the layers.

use std::sync::Arc;

use super::session::Session;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{
    Blob, Config, Descriptor, Digest, Index, Location, Manifest, Parsed, Platform, parse_manifest,
};
use crate::recipe::Base;
use crate::store::{Archive, BlobFile, Layout, LocalImage, Repository};

/// A stored image.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// Its name, pinned to the manifest's digest.
    pub base: Base,
    /// The index that the name refers to, if it does not refer to the manifest itself.
    pub index: Option<Digest>,
    /// The manifest for the platform.
    pub manifest: Manifest,
    /// The manifest's descriptors of the layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The config.
    pub config: Config,
    /// The digest of the config.
    pub config_digest: Digest,
    /// The number of bytes of the config, which may differ from the size in the manifest.
    pub config_size: u64,
}

/// The image or index that a name refers to.
#[derive(Clone, Debug)]
pub enum Inspected {
    /// One image.
    Image(Box<StoredImage>),
    /// An index of several images, if no platform was requested.
    Index {
        /// The index's digest.
        digest: Digest,
        /// Its entries.
        index: Index,
    },
}

/// A store of images. Each kind has the same three methods.
pub(super) enum ImageStore {
    Archive(Arc<Archive>),
    Local(Box<LocalImage>),
    Registry(Repository),
    Layout(Layout),
}

/// The reason why an image is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To build on it: a manifest in the cache is enough.
    Build,
    /// To inspect it: the manifest is requested, because the registry may have lost it.
    Inspect,
}

impl ImageStore {
    async fn small_blob(&self, session: &Arc<Session>, digest: Digest) -> Result<Vec<u8>> {
        match self {
            // The config is the only small blob that is read from an archive.
            ImageStore::Archive(archive) => Ok(archive.config()),
            ImageStore::Local(image) => Ok(image.image().config().to_bytes()),
            ImageStore::Layout(layout) => layout.small_blob(digest),
            ImageStore::Registry(repository) => session.small_blob(repository, digest).await,
        }
    }

    async fn manifest(
        &self,
        session: &Arc<Session>,
        target: Option<&str>,
        media_type: &str,
        platform: Option<&Platform>,
        purpose: Purpose,
    ) -> Result<Option<Manifest>> {
        match self {
            ImageStore::Archive(archive) => Ok(archive.manifest(target)),
            ImageStore::Local(image) => {
                let manifest = image.manifest();
                let same = target.is_none_or(|target| target == manifest.digest.to_string());
                Ok(same.then_some(manifest))
            }
            ImageStore::Layout(layout) => layout.manifest(target, platform),
            ImageStore::Registry(repository) => {
                let target = target.unwrap_or("latest");
                let digest = target.parse::<Digest>().ok().filter(|_| purpose == Purpose::Build);
                if let Some(bytes) = digest.and_then(|digest| session.cache.bytes(digest)) {
                    return Ok(Some(Manifest::stored(media_type.to_owned(), bytes)));
                }
                let found = repository.manifest(target).await?;
                if let Some(manifest) = &found {
                    // A failure to write the cache only costs a request.
                    let _ = session.cache.put_bytes(&manifest.bytes);
                }
                Ok(found)
            }
        }
    }

    /// A layer to read: from the cache, if the store is on another machine and the cache has the layer.
    pub(super) fn layer(&self, session: &Session, layer: &Descriptor) -> Blob {
        let held = match self {
            ImageStore::Registry(_) => session.cache.held(layer.digest),
            ImageStore::Archive(_) | ImageStore::Layout(_) => None,
            ImageStore::Local(_) => return session.nearest(&self.blob(layer.digest, layer.size)),
        };
        match held {
            Some(BlobFile { path, digest, size }) => Blob { digest, size, location: Location::File(path) },
            None => self.blob(layer.digest, layer.size),
        }
    }

    pub(super) fn blob(&self, digest: Digest, size: u64) -> Blob {
        match self {
            ImageStore::Archive(archive) => archive.blob(digest, size),
            ImageStore::Local(image) => {
                let mut layers = image.image().layers().iter();
                let found = layers.find(|layer| layer.blob.digest == digest).map(|layer| layer.blob.clone());
                // Its manifest names no others; one that it did not have could not be read.
                let location = Location::File(format!("layer {digest}").into());
                found.unwrap_or(Blob { digest, size, location })
            }
            ImageStore::Layout(layout) => layout.blob(digest, size),
            ImageStore::Registry(repository) => {
                Blob { digest, size, location: Location::Registry(repository.name().clone()) }
            }
        }
    }
}

impl Session {
    /// A config from a registry, through the cache. The caller compares its size with that in the descriptor.
    pub(super) async fn small_blob(&self, repository: &Repository, digest: Digest) -> Result<Vec<u8>> {
        if let Some(bytes) = self.cache.bytes(digest) {
            return Ok(bytes);
        }
        let bytes = repository.small_blob(digest).await?;
        // A failure to write the cache only costs a request.
        let _ = self.cache.put_bytes(&bytes);
        Ok(bytes)
    }
}

/// Manifest and config of the base's image for the platform, without reading its layers. Reports the base as an event.
pub(super) async fn for_platform(
    session: &Arc<Session>,
    base: &Base,
    platform: &Platform,
) -> Result<(ImageStore, String, StoredImage)> {
    let (store, name, found) = resolve(session, base, platform).await?;
    let (image, digest) = (name.clone(), found.manifest.digest);
    session.events.emit(Event::Base { image, digest, platform: found.config.platform() });
    warn_of_config_size(session, &name, &found);
    Ok((store, name, found))
}

/// Warns about a base that engines refuse. The image on it gets a config of its own, and is not affected.
fn warn_of_config_size(session: &Session, name: &str, found: &StoredImage) {
    let Ok(Parsed::Image { config, .. }) = parse_manifest(name, &found.manifest.bytes) else { return };
    let (real, said) = (found.config_size, config.size);
    if real != said {
        let fault = format!("the config of {name} has {real} bytes, but its manifest gives the size {said}");
        session.events.warn(fault, Some("other tools refuse this base: build or copy it again"));
    }
}

/// As [`for_platform`], without the events.
pub(super) async fn resolve(
    session: &Arc<Session>,
    base: &Base,
    platform: &Platform,
) -> Result<(ImageStore, String, StoredImage)> {
    let (store, name) = store_for(session, base, Some(platform)).await?;
    let found = match find(session, &store, base, &name, Some(platform), Purpose::Build).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { index, .. } => return Err(not_offered(&name, platform, index.platforms())),
    };
    if !found.config.platform().satisfies(platform) {
        return Err(not_offered(&name, platform, vec![found.config.platform()]));
    }
    Ok((store, name, found))
}

/// A stored image of any platform.
pub(super) async fn inspect(
    session: &Arc<Session>,
    base: &Base,
    platform: Option<&Platform>,
) -> Result<Inspected> {
    let (store, name) = store_for(session, base, platform).await?;
    match find(session, &store, base, &name, platform, Purpose::Inspect).await? {
        Inspected::Index { digest, index } => match platform {
            Some(wanted) => Err(not_offered(&name, wanted, index.platforms())),
            None => Ok(Inspected::Index { digest, index }),
        },
        found => Ok(found),
    }
}

pub(super) async fn store(session: &Arc<Session>, base: &Base) -> Result<(ImageStore, String)> {
    store_for(session, base, None).await
}

/// The store of an image. That of this machine may have one for another platform under the name: then the registry is
/// asked, as Docker does.
async fn store_for(
    session: &Arc<Session>,
    base: &Base,
    platform: Option<&Platform>,
) -> Result<(ImageStore, String)> {
    match base {
        Base::Registry(name) => {
            let fits = |image: &LocalImage| {
                platform.is_none_or(|platform| image.image().config().platform().satisfies(platform))
            };
            let local = session.local_images.then(|| session.cache.images().named(name)).flatten();
            let local = local.filter(fits);
            let store = match local {
                Some(image) => ImageStore::Local(image.into()),
                None => ImageStore::Registry(session.registries.source(name)),
            };
            Ok((store, name.to_string()))
        }
        Base::Local { name, .. } => {
            let image = session.cache.images().find(name)?;
            let image = image.ok_or_else(|| Error::NoSuchImage { image: base.to_string() })?;
            Ok((ImageStore::Local(image.into()), base.to_string()))
        }
        Base::Layout { path, tag, .. } => {
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let dir = Layout::locate(path, None).0;
            Ok((ImageStore::Layout(Layout::open(&dir)?), format!("oci:{}{tag}", path.display())))
        }
        Base::Archive { path, name, .. } => {
            let archive = session.archives.open(path, name.as_ref()).await?;
            let name = name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            Ok((ImageStore::Archive(archive), format!("docker-archive:{}{name}", path.display())))
        }
        Base::Scratch | Base::Stage(_) => Err(Error::Location {
            location: format!("{base:?}"),
            expected: "an image in a registry, layout or archive",
        }),
    }
}

async fn find(
    session: &Arc<Session>,
    store: &ImageStore,
    base: &Base,
    name: &str,
    platform: Option<&Platform>,
    purpose: Purpose,
) -> Result<Inspected> {
    let target = match base {
        // The store has found the image by its name, which the manifest does not have.
        Base::Registry(reference) if matches!(store, ImageStore::Local(_)) => {
            reference.digest().filter(|_| reference.tag().is_some()).map(|digest| digest.to_string())
        }
        Base::Registry(reference) => Some(reference.target()),
        Base::Layout { digest: Some(digest), .. }
        | Base::Archive { digest: Some(digest), .. }
        | Base::Local { digest: Some(digest), .. } => Some(digest.to_string()),
        Base::Layout { path, tag, .. } => Layout::locate(path, tag.as_deref()).1,
        Base::Archive { .. } | Base::Local { .. } | Base::Scratch | Base::Stage(_) => None,
    };
    let no_image = || Error::NoSuchImage { image: name.to_owned() };
    let manifest =
        store.manifest(session, target.as_deref(), "", platform, purpose).await?.ok_or_else(no_image)?;
    let (index, manifest, parsed) = match parse_manifest(name, &manifest.bytes)? {
        Parsed::Index(index) => {
            let digest = manifest.digest;
            let offered = index.platforms();
            let wanted = platform.or(if let [only] = &offered[..] { Some(only) } else { None });
            let entry = match wanted {
                Some(wanted) => index.for_platform(wanted),
                None => index.only(),
            };
            let Some(entry) = entry else {
                return Ok(Inspected::Index { digest, index });
            };
            let target = entry.digest.to_string();
            let manifest = store
                .manifest(session, Some(&target), &entry.media_type, platform, purpose)
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
    let bytes = store.small_blob(session, config.digest).await?;
    Ok(Inspected::Image(Box::new(StoredImage {
        base: pinned(base, manifest.digest),
        index,
        config: Config::parse(name, &bytes)?,
        config_digest: config.digest,
        config_size: bytes.len() as u64,
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
        Base::Local { name, .. } => Base::Local { name: name.clone(), digest: Some(digest) },
        Base::Scratch | Base::Stage(_) => base.clone(),
    }
}

fn not_offered(image: &str, wanted: &Platform, offered: Vec<Platform>) -> Error {
    Error::PlatformNotOffered { image: image.to_owned(), wanted: wanted.clone(), offered }
}
