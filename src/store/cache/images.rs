//! Images under names, as records.
//!
//! ```text
//! images/<hex>         an image, by the digest of its manifest: its config, and where its layers are
//! images/names/<hex>   a name of an image, by the digest of the name; also one by digest, under which it was pushed
//! ```
//! Layers that lbuild made are blobs of the cache, which [`prune`](Cache::prune) leaves to an image that stays; those of a
//! base are where they were. Images and names change under a lock; readers see each before or after a change. Each name is
//! a record of its own, so that damage to one costs no other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::Cache;
use super::records::RecordKind;
use super::runs::lock_file;
use super::used::mark_used;
use crate::error::{Error, Result};
use crate::image::{Digest, Reference};
use crate::store::staged::{self, TEMPORARY_PREFIX};

/// An image that has been stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// The JSON of the config.
    pub(crate) config: String,
    pub(crate) layers: Vec<LayerOfImage>,
}

/// A layer of a stored image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerOfImage {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) diff_id: Digest,
    pub(crate) at: PlaceOfLayer,
}

/// Where a layer of a stored image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaceOfLayer {
    /// A blob of this cache.
    Cache,
    Registry(Reference),
    File(PathBuf),
    Slice {
        path: PathBuf,
        offset: u64,
    },
}

/// A name of a stored image.
#[derive(Serialize, Deserialize)]
struct ImageName {
    /// `REGISTRY/REPOSITORY:TAG`, or `REGISTRY/REPOSITORY@DIGEST`.
    name: String,
    /// The key of the image.
    image: Digest,
}

/// While it exists, no other process changes images or names. Only such changes may be made.
pub(crate) struct ImageChange<'c> {
    cache: &'c Cache,
    _locked: Option<File>,
}

impl Cache {
    fn images_dir(&self) -> PathBuf {
        self.root().join("images")
    }

    fn image_path(&self, key: Digest) -> PathBuf {
        self.images_dir().join(key.hex())
    }

    fn names_dir(&self) -> PathBuf {
        self.images_dir().join("names")
    }

    fn name_path(&self, name: &str) -> PathBuf {
        self.names_dir().join(Digest::of(name.as_bytes()).hex())
    }

    /// The image with this key, unless it has been removed or is damaged. What `used` finds of it in the cache is in use.
    pub(crate) fn image<T>(&self, key: Digest, used: impl FnOnce(ImageRecord) -> T) -> Option<T> {
        let path = self.image_path(key);
        // A file that does not exist needs no lock.
        fs::metadata(&path).ok()?;
        // Neither the image nor one of its blobs is removed meanwhile.
        let _in_use = self.in_use();
        let json = self.record_at(&path, RecordKind::Image, key)?;
        serde_json::from_slice(&json).ok().map(used)
    }

    /// The keys of all images.
    pub(crate) fn image_keys(&self) -> Result<Vec<Digest>> {
        let files = files(&self.images_dir())?.into_iter();
        Ok(files.filter_map(|(path, _)| key_of(&path)).collect())
    }

    /// The key of the image with this name.
    pub(crate) fn image_named(&self, name: &str) -> Option<Digest> {
        self.name_at(&self.name_path(name)).filter(|found| found.name == name).map(|found| found.image)
    }

    /// All names, and the keys of their images, which may be gone.
    pub(crate) fn image_names(&self) -> Result<BTreeMap<String, Digest>> {
        let names = files(&self.names_dir())?.into_iter().filter_map(|(path, _)| self.name_at(&path));
        Ok(names.map(|ImageName { name, image }| (name, image)).collect())
    }

    fn name_at(&self, path: &Path) -> Option<ImageName> {
        let json = self.record_at(path, RecordKind::ImageName, key_of(path)?)?;
        serde_json::from_slice(&json).ok()
    }

    /// Waits for other processes that change images or names.
    pub(crate) fn change_images(&self) -> ImageChange<'_> {
        let locked = lock_file(&self.locks_dir().join("images"));
        for dir in [self.images_dir(), self.names_dir()] {
            remove_leftovers(&dir);
        }
        ImageChange { cache: self, _locked: locked }
    }

    /// The files of the images and of the names, with their metadata, and none of another name.
    pub(super) fn image_files(&self) -> Result<[Vec<(PathBuf, fs::Metadata)>; 2]> {
        Ok([files(&self.images_dir())?, files(&self.names_dir())?])
    }

    /// The blobs of this cache that the image in a file has. Reading them is no use of the image.
    pub(super) fn blobs_of_image(&self, file: &Path) -> Vec<PathBuf> {
        let record = key_of(file).and_then(|key| RecordKind::Image.content(key, fs::read(file).ok()?));
        let image = record.and_then(|json| serde_json::from_slice::<ImageRecord>(&json).ok());
        let layers = image.into_iter().flat_map(|image| image.layers);
        let own = layers.filter(|layer| layer.at == PlaceOfLayer::Cache);
        own.map(|layer| self.blob_path(layer.digest)).collect()
    }
}

impl ImageChange<'_> {
    /// Stores an image under its key, the digest of its manifest.
    pub(crate) fn put(&self, key: Digest, image: &ImageRecord) -> Result<()> {
        // `prune` leaves it to this process.
        let _in_use = self.cache.in_use();
        self.replace(&self.cache.image_path(key), RecordKind::Image, key, image)?;
        // No blob is less recent than its image, so that none is removed before it.
        let own = image.layers.iter().filter(|layer| layer.at == PlaceOfLayer::Cache);
        own.for_each(|layer| mark_used(&self.cache.blob_path(layer.digest)));
        Ok(())
    }

    /// Gives an image a name; an image that had it loses it.
    pub(crate) fn name(&self, name: String, image: Digest) -> Result<()> {
        let (path, key) = (self.cache.name_path(&name), Digest::of(name.as_bytes()));
        self.replace(&path, RecordKind::ImageName, key, &ImageName { name, image })
    }

    /// Unlike other records these are never missing for a moment: they could not be made again.
    fn replace(&self, path: &Path, kind: RecordKind, key: Digest, content: &impl Serialize) -> Result<()> {
        let fail = |error: serde_json::Error| Error::Write { path: path.to_owned(), source: error.into() };
        let json = serde_json::to_vec(content).map_err(fail)?;
        staged::replace(path, &kind.record(key, &json))
    }

    /// Removes a name.
    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        removed(&self.cache.name_path(name))
    }

    /// Removes an image, after its names.
    pub(crate) fn remove(&self, key: Digest) -> Result<()> {
        for (name, _) in self.cache.image_names()?.into_iter().filter(|(_, image)| *image == key) {
            self.forget(&name)?;
        }
        removed(&self.cache.image_path(key))
    }

    /// Removes the names of images that are gone, and returns the files.
    pub(super) fn forget_lost(&self) -> Result<Vec<(PathBuf, fs::Metadata)>> {
        let mut lost = files(&self.cache.names_dir())?;
        lost.retain(|(path, _)| {
            self.cache.name_at(path).is_none_or(|name| !self.cache.image_path(name.image).exists())
        });
        lost.iter().try_for_each(|(path, _)| removed(path))?;
        Ok(lost)
    }
}

/// The files in a directory that are named by a digest, with their metadata.
fn files(dir: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| Error::Read { path: dir.to_owned(), source })?,
    };
    // Another process may remove one at any time.
    let files = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    Ok(files.filter(|(path, metadata)| metadata.is_file() && key_of(path).is_some()).collect())
}

/// Removes a file, if it exists.
fn removed(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes what processes have left that were killed while they replaced a file.
fn remove_leftovers(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for left in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)) {
        let _ = fs::remove_file(left.path());
    }
}

fn key_of(file: &Path) -> Option<Digest> {
    format!("sha256:{}", file.file_name()?.to_str()?).parse().ok()
}
