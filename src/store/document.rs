//! Manifests, configs and indexes, which are read completely into memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::stream::regular;

/// Upper bound on the size of a manifest or config, in bytes. No image needs more.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// The bytes of a file of at most `limit` bytes.
pub(super) fn read_document(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    regular(&fs::metadata(path)?)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"))),
        false => Ok(bytes),
    }
}
