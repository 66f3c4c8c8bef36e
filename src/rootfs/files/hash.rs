//! The digests of files.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::index::FileFact;
use crate::image::Digest;

/// The number of bytes read at once.
pub(super) const CHUNK: usize = 128 << 10;

/// Reads a file to its end.
pub(super) fn fact_of(mut file: impl Read) -> io::Result<FileFact> {
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(FileFact { size, sha256: Digest::from_bytes(hash.finalize().into()) })
}
