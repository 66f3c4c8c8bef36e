//! The unpacked files of a whole image, in which its programs can run.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Index;
use super::run::Way;
use crate::image::Config;

/// An image whose files are unpacked in the cache. They stay there as long as a clone of this value exists.
#[derive(Clone)]
pub struct UnpackedImage(Arc<Parts>);

/// A temporary directory; dropping it removes it.
pub(crate) struct OwnDirectory {
    pub(crate) path: PathBuf,
    pub(crate) _held: Box<dyn Any + Send + Sync>,
}

/// Makes temporary directories on the file system of the cache.
pub(crate) type Directories = Box<dyn Fn() -> io::Result<OwnDirectory> + Send + Sync>;

pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) way: Way,
    pub(crate) files: PathBuf,
    pub(crate) index: Arc<Index>,
    pub(crate) directories: Directories,
    /// Keeps the files in the cache.
    pub(crate) _held: Box<dyn Any + Send + Sync>,
}

impl UnpackedImage {
    pub(crate) fn new(parts: Parts) -> UnpackedImage {
        UnpackedImage(Arc::new(parts))
    }

    /// The image's config.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn way(&self) -> &Way {
        &self.0.way
    }

    /// The directory with the files. Nobody may change them.
    pub(crate) fn files(&self) -> &Path {
        &self.0.files
    }

    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    /// A temporary directory for one run of the image.
    pub(crate) fn directory(&self) -> io::Result<OwnDirectory> {
        (self.0.directories)()
    }
}

impl fmt::Debug for UnpackedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnpackedImage").field("files", &self.0.files).finish_non_exhaustive()
    }
}
