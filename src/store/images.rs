//! [`LocalImages`]: the images that this machine has under names.
//!
//! A stored image is its config and the places of its layers. Layers that lbuild made are in the cache; those of a base
//! stay where they are, in a registry or in files, so that a build fetches nothing only to store it.

use std::collections::BTreeMap;
use std::path::Path;

use super::cache::{Cache, ImageChange, ImageRecord, LayerOfImage, PlaceOfLayer};
use crate::error::{Error, Result};
use crate::image::{Blob, Config, Digest, Format, Image, Layer, Location, Manifest, Reference};

/// The local image store: images under names, in the cache's directory. Processes may use it at once.
#[derive(Clone, Debug)]
pub struct LocalImages {
    cache: Cache,
}

/// An image of the local store.
#[derive(Clone, Debug)]
pub struct LocalImage {
    /// The key of its record: the digest of its manifest.
    key: Digest,
    image: Image,
    /// Its names, each with a tag.
    pub names: Vec<Reference>,
    /// The names by digest under which it was pushed: `REGISTRY/REPOSITORY@DIGEST`.
    pub digests: Vec<Reference>,
}

impl LocalImage {
    /// The config and the layers.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The id: the digest of the config.
    pub fn id(&self) -> Digest {
        self.image.config_blob().digest
    }

    /// The manifest that a push sends, unless another format is asked for.
    pub(crate) fn manifest(&self) -> Manifest {
        self.image.manifest(Format::Docker)
    }
}

impl Cache {
    /// The images that this machine has under names.
    pub fn images(&self) -> LocalImages {
        LocalImages { cache: self.clone() }
    }
}

/// The length of the shortest part of an id that is taken for one: as `docker` prints it.
const SHORTEST_ID: usize = 12;

impl LocalImages {
    /// The image of a name, `NAME[:TAG]` or `NAME@DIGEST`, or of an id, which may be cut to twelve digits.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn find(&self, name: &str) -> Result<Option<LocalImage>> {
        let by_name = name.parse::<Reference>().ok().and_then(|name| self.key(&name));
        if let Some(key) = by_name {
            return Ok(self.image(key, &self.cache.image_names()?));
        }
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        if hex.len() < SHORTEST_ID || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        Ok(self.list()?.into_iter().find(|image| image.id().hex().starts_with(hex)))
    }

    /// The image of a name that may be pinned to the digest of the image's manifest.
    pub(crate) fn named(&self, name: &Reference) -> Option<LocalImage> {
        let key = self.key(name)?;
        let digest = name.digest().filter(|_| name.tag().is_some());
        self.image(key, &BTreeMap::new()).filter(|_| digest.is_none_or(|digest| digest == key))
    }

    fn key(&self, name: &Reference) -> Option<Digest> {
        match (name.tag(), name.digest()) {
            (None, Some(_)) => self.cache.image_named(&name.to_string()),
            _ => self.cache.image_named(&tagged(name)),
        }
    }

    /// All images, sorted by their names; those without a name last.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn list(&self) -> Result<Vec<LocalImage>> {
        let names = self.cache.image_names()?;
        let mut images: Vec<_> =
            self.cache.image_keys()?.into_iter().filter_map(|key| self.image(key, &names)).collect();
        let name = |image: &LocalImage| image.names.first().map(ToString::to_string);
        images.sort_by_cached_key(|image| (image.names.is_empty(), name(image), image.id()));
        Ok(images)
    }

    /// Stores an image, and gives it these names; an image that had one of them loses it.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn put(&self, image: &Image, names: &[Reference]) -> Result<()> {
        let config = String::from_utf8_lossy(&image.config().to_bytes()).into_owned();
        let layers = image.layers().iter().map(|layer| self.layer(layer)).collect::<Result<_>>()?;
        let (key, mut record) = (image.rendered(Format::Docker).digest, ImageRecord { config, layers });
        let change = self.cache.change_images();
        if let Some(old) = self.cache.image(key, |old| old) {
            self.keep_places(&mut record, old);
        }
        change.put(key, &record)?;
        name(&change, key, names)
    }

    /// Keeps the layers of an image that is stored again where the cache has them: other places may be lost.
    fn keep_places(&self, record: &mut ImageRecord, old: ImageRecord) {
        for (layer, old) in record.layers.iter_mut().zip(old.layers) {
            let is_held = old.at == PlaceOfLayer::Cache && self.cache.blob(old.digest, old.size).is_some();
            if layer.digest == old.digest && is_held {
                layer.at = PlaceOfLayer::Cache;
            }
        }
    }

    fn layer(&self, layer: &Layer) -> Result<LayerOfImage> {
        let Blob { digest, size, .. } = layer.blob;
        Ok(LayerOfImage { digest, size, diff_id: layer.diff_id, at: self.place(&layer.blob)? })
    }

    fn place(&self, blob: &Blob) -> Result<PlaceOfLayer> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| Error::BlobRead { path: path.to_owned(), source })
        };
        Ok(match &blob.location {
            Location::Memory(bytes) => {
                self.cache.put_bytes(bytes)?;
                PlaceOfLayer::Cache
            }
            Location::Registry(name) => PlaceOfLayer::Registry(name.clone()),
            Location::File(path) if self.cache.holds(path) => PlaceOfLayer::Cache,
            Location::File(path) => PlaceOfLayer::File(absolute(path)?),
            Location::Slice { path, offset } => {
                PlaceOfLayer::Slice { path: absolute(path)?, offset: *offset }
            }
        })
    }

    /// Gives an image more names; an image that had one of them loses it.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn tag(&self, image: &LocalImage, names: &[Reference]) -> Result<()> {
        let change = self.cache.change_images();
        // Another process may have removed it meanwhile.
        if self.image(image.key, &BTreeMap::new()).is_none() {
            return Err(Error::NoSuchImage { image: image.id().to_string() });
        }
        name(&change, image.key, names)
    }

    /// Records that an image was pushed: `name` is that of its manifest, by digest.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn pushed(&self, image: &LocalImage, name: &Reference) -> Result<()> {
        self.cache.change_images().name(name.to_string(), image.key)
    }

    /// Removes a name, and an image that has none left; returns whether the image was removed.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn untag(&self, image: &LocalImage, name: &Reference) -> Result<bool> {
        let change = self.cache.change_images();
        change.forget(&name.to_string())?;
        let left = self.image(image.key, &self.cache.image_names()?);
        let is_last = left.is_some_and(|image| image.names.is_empty());
        if is_last {
            change.remove(image.key)?;
        }
        Ok(is_last)
    }

    /// Removes an image with all its names. Its layers stay in the cache, as those of any build.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn remove(&self, image: &LocalImage) -> Result<()> {
        self.cache.change_images().remove(image.key)
    }

    /// The image of a record, with those of these names that are its own. One that has lost a layer of this machine is none:
    /// only a build can make it whole.
    fn image(&self, key: Digest, names: &BTreeMap<String, Digest>) -> Option<LocalImage> {
        let layer = |layer: LayerOfImage| {
            let LayerOfImage { digest, size, diff_id, at } = layer;
            let location = match at {
                PlaceOfLayer::Cache => self.cache.blob(digest, size)?.location,
                PlaceOfLayer::Registry(name) => Location::Registry(name),
                PlaceOfLayer::File(path) => Location::File(path),
                PlaceOfLayer::Slice { path, offset } => Location::Slice { path, offset },
            };
            Some(Layer { blob: Blob { digest, size, location }, diff_id, key: None })
        };
        let located = |record: ImageRecord| {
            (record.config, record.layers.into_iter().map(layer).collect::<Option<Vec<_>>>())
        };
        let (config, layers) = self.cache.image(key, located)?;
        let layers = layers?;
        let config = Config::parse("the local image store", config.as_bytes()).ok()?;
        let image = Image::existing("the local image store", config, layers).ok()?;
        let own = names.iter().filter(|(_, named)| **named == key);
        let own = own.filter_map(|(name, _)| name.parse::<Reference>().ok());
        let (names, digests) = own.partition(|name| name.digest().is_none());
        Some(LocalImage { key, image, names, digests })
    }
}

fn name(change: &ImageChange<'_>, key: Digest, names: &[Reference]) -> Result<()> {
    names.iter().try_for_each(|name| change.name(tagged(name), key))
}

/// The name with its tag, without a digest.
fn tagged(name: &Reference) -> String {
    format!("{}:{}", name.repository_name(), name.tag().unwrap_or("latest"))
}
