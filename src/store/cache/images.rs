//! Images under names, as records.
//!
//! ```text
//! images/<hex>          an image: its config, and where its layers are
//! images/names/record   the names of the images, and the digests under which they were pushed
//! ```
//! Layers that lbuild made are blobs of the cache, which [`prune`](Cache::prune) leaves to an image that stays; those of a
//! base are where they were. The names change under a lock; readers see them before or after a change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::Cache;
use super::records::RecordKind;
use super::runs::lock_file;
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

/// The names of the stored images. An image is named by the key of its record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageNames {
    /// By `REGISTRY/REPOSITORY:TAG`.
    pub(crate) tags: BTreeMap<String, Digest>,
    /// By `REGISTRY/REPOSITORY@DIGEST`, under which it was pushed.
    pub(crate) digests: BTreeMap<String, Digest>,
}

/// The directory and the name of the file of the names.
const NAMES: [&str; 2] = ["names", "record"];

impl Cache {
    fn images_dir(&self) -> PathBuf {
        self.root().join("images")
    }

    fn image_path(&self, key: Digest) -> PathBuf {
        self.images_dir().join(key.hex())
    }

    fn names_dir(&self) -> PathBuf {
        self.images_dir().join(NAMES[0])
    }

    /// Stores an image, and returns its key.
    pub(crate) fn put_image(&self, image: &ImageRecord) -> Result<Digest> {
        let path = self.images_dir();
        let json = serde_json::to_vec(image).map_err(|error| Error::Write { path, source: error.into() })?;
        let key = Digest::of(&json);
        self.put_record_at(&self.image_path(key), RecordKind::Image, key, &json)?;
        Ok(key)
    }

    /// The image with this key, unless it has been removed or is damaged.
    pub(crate) fn image(&self, key: Digest) -> Option<ImageRecord> {
        let json = self.record_at(&self.image_path(key), RecordKind::Image, key)?;
        serde_json::from_slice(&json).ok()
    }

    /// The keys of all images.
    pub(crate) fn image_keys(&self) -> Result<Vec<Digest>> {
        let files = self.image_files()?.into_iter();
        Ok(files.filter_map(|(path, _)| key_of(&path)).collect())
    }

    pub(crate) fn remove_image(&self, key: Digest) -> Result<()> {
        let path = self.image_path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Write { path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// The names, of images that exist.
    pub(crate) fn image_names(&self) -> ImageNames {
        let names = self.record_at(&self.names_dir().join(NAMES[1]), RecordKind::ImageNames, Digest::of(b""));
        let mut names: ImageNames =
            names.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let exists = |key: &Digest| self.image_path(*key).exists();
        names.tags.retain(|_, key| exists(key));
        names.digests.retain(|_, key| exists(key));
        names
    }

    /// Changes the names, while no other process does.
    pub(crate) fn change_image_names<T>(&self, change: impl FnOnce(&mut ImageNames) -> T) -> Result<T> {
        let _locked = lock_file(&self.locks_dir().join("images"));
        let mut names = self.image_names();
        let changed = change(&mut names);
        let dir = self.names_dir();
        let fail = |error: serde_json::Error| Error::Write { path: dir.clone(), source: error.into() };
        let json = serde_json::to_vec(&names).map_err(fail)?;
        remove_leftovers(&dir);
        let record = RecordKind::ImageNames.record(Digest::of(b""), &json);
        // Unlike other records it is never missing: it could not be made again.
        staged::replace(&dir.join(NAMES[1]), &record)?;
        Ok(changed)
    }

    /// The files of the images, with their metadata, and none of another name.
    pub(super) fn image_files(&self) -> Result<Vec<(PathBuf, fs::Metadata)>> {
        let dir = self.images_dir();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::Read { path: dir, source })?,
        };
        // Another process may remove one at any time.
        let files = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
        Ok(files.filter(|(path, metadata)| metadata.is_file() && key_of(path).is_some()).collect())
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

/// Removes what processes have left that were killed while they replaced the names.
fn remove_leftovers(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for left in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)) {
        let _ = fs::remove_file(left.path());
    }
}

fn key_of(file: &Path) -> Option<Digest> {
    format!("sha256:{}", file.file_name()?.to_str()?).parse().ok()
}
