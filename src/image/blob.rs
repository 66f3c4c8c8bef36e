//! Content-addressed bytes: a [`Digest`] names them, a [`Blob`] adds their size and where they can be had.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::Reference;
use crate::error::{Error, Result};

/// A sha256 digest, written `sha256:<64 hex digits>`.
///
/// The image spec registers sha512 too, but neither Docker's schema 2 tools nor ECR produce it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash in hex, without the algorithm: the file name in an OCI layout.
    pub fn hex(&self) -> String {
        use fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Digest> {
        parse_sha256(text).map(Digest).ok_or_else(|| Error::Digest { text: text.to_owned() })
    }
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?.as_bytes();
    if hex.len() != 64 || hex.iter().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes by name: digest and size, and where a store finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The sha256 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Where they can be read; every reader checks them against digest and size.
    pub location: Location,
}

impl Blob {
    /// A blob that is held in memory: a config, a manifest.
    pub fn from_bytes(bytes: Vec<u8>) -> Blob {
        Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            location: Location::Memory(bytes.into()),
        }
    }
}

/// Where a blob's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// Here.
    Memory(Arc<[u8]>),
    /// In a file of their own: in the cache, in an OCI layout.
    File(PathBuf),
    /// In a file of others' too, from this byte on: in a Docker archive.
    Slice {
        /// The file.
        path: PathBuf,
        /// Where the bytes begin.
        offset: u64,
    },
    /// In a repository of a registry; tag and digest of the reference play no part.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
    }

    #[test]
    fn what_is_no_sha256_is_refused() {
        for text in ["", "sha256:", "sha256:zz", "md5:00", &format!("sha256:{}", "A".repeat(64))] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
