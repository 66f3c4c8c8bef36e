//! The local cache: blobs by digest, and records under keys.
//!
//! ```text
//! blobs/sha256/<hex>   layers that lbuild made, or wrote to layouts and archives; manifests and configs of bases
//! keys/<hex>           a layer's key → the layer's digests, as JSON
//! stat/<hex>           fingerprints of a source directory's files
//! work/                temporary directories for other programs
//! ```
//! Names are digests, and a file appears only when it is complete, so concurrent runs share the cache without a lock. A
//! blob is verified whenever it is used; a blob that fails the check is removed and recreated.

mod blobs;
mod directory;
mod prune;
mod records;
#[cfg(test)]
mod tests;
mod workplace;

pub(crate) use blobs::BlobFile;
pub use directory::Cache;
pub(crate) use directory::mark_used;
pub use prune::Usage;
pub(crate) use workplace::Workplace;
