//! The local cache: blobs by digest, and records under keys.
//!
//! ```text
//! blobs/sha256/<hex>   layers that lbuild made, or wrote to layouts and archives; manifests and configs of bases; wheels
//! keys/<hex>           records: a layer's key → the layer's digests, as JSON; scans; notes
//! images/<hex>         images under names: their configs, and where their layers are
//! stat/<hex>           fingerprints of a source directory's files
//! roots/<hex>/         unpacked images, in which commands run
//! mounts/<hex>-<n>/     cache mounts of commands
//! work/                temporary directories for other programs
//! locks/               empty files that runs lock
//! ```
//! Names are digests, and a file appears only when it is complete, so concurrent runs share the cache. Nothing in it is
//! believed unchecked: a blob is verified against its digest whenever its bytes are used, and each record has a
//! checksum over its kind, its key and its content. A file that fails the check is removed and made again.

mod blobs;
mod directory;
mod images;
mod mounts;
mod prune;
mod records;
mod roots;
mod runs;
#[cfg(test)]
mod tests;
mod usage;
mod used;
mod workplace;

pub(crate) use blobs::BlobFile;
pub use directory::Cache;
pub(crate) use images::{ImageChange, ImageRecord, LayerOfImage, PlaceOfLayer};
pub(crate) use mounts::{CacheMount, Holding};
pub(crate) use roots::CachedRoot;
pub use usage::Usage;
pub(crate) use used::mark_used;
pub use workplace::Workplace;
