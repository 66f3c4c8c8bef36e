//! A cache of opened Docker archives.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::Result;
use crate::image::Reference;
use crate::store::Archive;
use crate::threads::blocking;

/// Opened archives by file and image. Opening one may require hashing its blobs, so it is done once.
#[derive(Default)]
pub(super) struct Archives(Mutex<HashMap<Opened, Arc<Archive>>>);

/// The key: a file's path, the name of an image in it, and the file's size and modification time.
type Opened = (PathBuf, Option<String>, Option<(u64, Option<SystemTime>)>);

impl Archives {
    /// The image of this name in an archive. An unchanged archive is opened only once.
    pub(super) async fn open(&self, path: &Path, name: Option<&Reference>) -> Result<Arc<Archive>> {
        let stat = std::fs::metadata(path).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
        let key = (path.to_owned(), name.map(ToString::to_string), stat);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = known().get(&key) {
            return Ok(archive.clone());
        }
        let (path, name) = (path.to_owned(), name.cloned());
        let archive = Arc::new(blocking(move |stop| Archive::open(&path, name.as_ref(), stop)).await?);
        known().insert(key, archive.clone());
        Ok(archive)
    }
}
