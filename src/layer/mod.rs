//! Writes a tree of files as a layer: one gzip-compressed tar whose bytes depend on the tree and the epoch only.
//!
//! ```text
//! FileTree ── tar ──┬── segments ── deflate ── gzip ──┬── out
//!                   └── sha256: diff id               └── sha256: digest
//! ```
//!
//! * `tar`: the rules for the headers.
//! * `deflate`: the stream cut into segments, which any number of threads compress into the same bytes.
//! * `splice`, `inflate`: the deflated members of zip archives, copied into the stream without recompression.
//! * `zip_content`: reads members of zip archives.
//! * `read`: reads the members of any layer.
//! * [`write()`]: the pipeline; [`recompress`]: the same for an existing tar; `complete`: for one that lacks directories.

mod complete;
mod deflate;
mod inflate;
mod layer_writer;
mod read;
mod recompress;
mod splice;
mod tar;
mod write;
pub(crate) mod zip_content;

pub(crate) use complete::{Completion, complete};
pub use layer_writer::{WriteOptions, Written};
pub(crate) use read::{Decoded, LayerReader};
pub use recompress::{MAX_LAYER, recompress, zstd};
pub use splice::SPLICE_VERSION;
pub(crate) use tar::{archive_size, entries as archive_entries};
pub(crate) use write::{Peek, write_seen};
pub use write::{WRITER_VERSION, write};
