//! Content-addressed bytes: a [`Blob`] is a digest, a size and a location.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::digest::Digest;
use super::reference::Reference;

/// The digest, size and location of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The sha256 of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// The location to read them from; every reader verifies digest and size.
    pub location: Location,
}

impl Blob {
    /// A blob in memory, such as a config or a manifest.
    pub fn from_bytes(bytes: Vec<u8>) -> Blob {
        Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            location: Location::Memory(bytes.into()),
        }
    }
}

/// The location of a blob's bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// In memory.
    Memory(Arc<[u8]>),
    /// A whole file, in the cache or in an OCI layout.
    File(PathBuf),
    /// A part of a file, in a Docker archive.
    Slice {
        /// The file.
        path: PathBuf,
        /// The position of the first byte.
        offset: u64,
    },
    /// A repository of a registry; tag and digest of the reference are ignored.
    Registry(Reference),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory(bytes) => write!(f, "memory ({} bytes)", bytes.len()),
            Location::File(path) => write!(f, "{}", path.display()),
            Location::Slice { path, offset } => write!(f, "{} from byte {offset}", path.display()),
            Location::Registry(reference) => write!(f, "{}", reference.repository_name()),
        }
    }
}
