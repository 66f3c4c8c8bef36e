//! Blobs by digest.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::directory::Cache;
use super::used::mark_used;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Location};
use crate::store::staged::{self, Staged};

const TAG: &str = "CACHEDIR.TAG";
/// Backup programs recognise a cache by this line: <https://bford.info/cachedir/>.
const TAG_TEXT: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# This directory is a cache of lbuild.\n";

/// A blob that is a file of its own on this machine.
#[derive(Clone, Debug)]
pub(crate) struct BlobFile {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    /// The size in bytes.
    pub(crate) size: u64,
}

impl Cache {
    /// The blob, if the cache has a file with its name and size. Readers verify the bytes. A file of another size stays
    /// until the blob is stored again, because a manifest may name a wrong size.
    pub(crate) fn blob(&self, digest: Digest, size: u64) -> Option<Blob> {
        let held = self.held(digest).filter(|held| held.size == size)?;
        Some(Blob { digest, size, location: Location::File(held.path) })
    }

    /// The blob, whatever its size. The caller must verify its bytes.
    pub(crate) fn held(&self, digest: Digest) -> Option<BlobFile> {
        let path = self.blob_path(digest);
        // A file that does not exist needs no lock.
        fs::metadata(&path).ok()?;
        let _in_use = self.in_use();
        let size = fs::metadata(&path).ok()?.len();
        mark_used(&path);
        Some(BlobFile { path, digest, size })
    }

    /// The verified bytes of a small blob.
    pub(crate) fn bytes(&self, digest: Digest) -> Option<Vec<u8>> {
        let path = self.blob_path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) != digest {
            self.evict(digest);
            return None;
        }
        mark_used(&path);
        Some(bytes)
    }

    /// Stores a small blob.
    pub(crate) fn put_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.bytes(digest).is_some() {
            return Ok(digest);
        }
        let mut staged = self.stage()?;
        std::io::Write::write_all(&mut staged, bytes).map_err(|source| staged.failure(source))?;
        self.keep(staged, digest, bytes.len() as u64)?;
        Ok(digest)
    }

    /// A file for a blob whose digest is not known yet.
    pub(crate) fn stage(&self) -> Result<Staged> {
        // The run begins before the file exists, so that `prune` does not remove it.
        drop(self.in_use());
        let staged = Staged::new_in(&self.blobs_dir())?;
        let tag = self.root().join(TAG);
        if !tag.exists() {
            staged::replace(&tag, TAG_TEXT)?;
        }
        Ok(staged)
    }

    /// Stores a staged blob under its digest.
    pub(crate) fn keep(&self, staged: Staged, digest: Digest, size: u64) -> Result<Blob> {
        let BlobFile { path, digest, size } = self.keep_file(staged, digest, size)?;
        Ok(Blob { digest, size, location: Location::File(path) })
    }

    /// Stores a staged blob under its digest, for a caller that reads the file. An existing file stays if its bytes
    /// match its digest: another run may be reading it.
    pub(crate) fn keep_file(&self, staged: Staged, digest: Digest, size: u64) -> Result<BlobFile> {
        let path = self.blob_path(digest);
        let _in_use = self.in_use();
        if path.exists() {
            match self.check_blob(digest) {
                Ok(()) => {
                    mark_used(&path);
                    return Ok(BlobFile { path, digest, size });
                }
                Err(_) => self.evict(digest),
            }
        }
        staged.commit(&path)?;
        Ok(BlobFile { path, digest, size })
    }

    /// Fails when the cache does not have the blob, or the blob's bytes do not match its digest.
    pub(crate) fn check_blob(&self, digest: Digest) -> Result<()> {
        let path = self.blob_path(digest);
        let read = fs::File::open(&path).and_then(|mut file| {
            let (mut hash, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => return Ok(Digest::from_bytes(hash.finalize().into())),
                    Ok(read) => hash.update(&buffer[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        });
        match read {
            Ok(got) if got == digest => Ok(()),
            Ok(got) => Err(Error::CorruptFile { path, expected: digest, got }),
            Err(source) => Err(Error::CacheRead { path, source }),
        }
    }

    /// Removes a blob whose bytes do not match its name.
    pub(crate) fn evict(&self, digest: Digest) {
        let _ = fs::remove_file(self.blob_path(digest));
    }

    /// Whether the error is about a missing or damaged blob of the cache, which may be made or fetched again. A damaged
    /// blob is removed.
    pub(crate) fn lost(&self, error: &Error) -> bool {
        match error {
            Error::CorruptFile { path, expected, .. } if self.holds(path) => {
                self.evict(*expected);
                true
            }
            Error::CacheRead { .. } => true,
            Error::BlobRead { path, .. } | Error::Read { path, .. } | Error::SourceChanged { path } => {
                self.holds(path)
            }
            _ => false,
        }
    }

    /// The error, with a missing file of the cache named as such.
    pub(crate) fn explained(&self, error: Error) -> Error {
        match error {
            Error::BlobRead { path, source } | Error::Read { path, source } if self.holds(&path) => {
                Error::CacheRead { path, source }
            }
            Error::SourceChanged { path } if self.holds(&path) => {
                Error::CacheRead { path, source: io::Error::other("it changed while it was read") }
            }
            error => error,
        }
    }

    /// Whether `path` is one of this cache's blobs.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.blobs_dir())
    }
}
