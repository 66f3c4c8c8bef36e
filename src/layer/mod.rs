//! From a tree of files to a layer: one gzip-compressed tar whose bytes depend on the tree and nothing else.
//!
//! ```text
//! FileTree ── tar ──┬── segments ── deflate ── gzip ──┬── out
//!                   └── sha256: diff id               └── sha256: digest
//! ```
//!
//! * [`tree`](FileTree): what a layer holds, by image path.
//! * `tar`: every rule of the headers.
//! * `deflate`: the stream cut into segments, which any number of threads compress into the same bytes.
//! * `segment`, `scan`, `codes`: one segment, and where its compressed form is mended so that another can follow.
//! * `splice`, `inflate`: what a zip archive has deflated already, joined in as it is.
//! * `elf`: which machine a binary among the files is for.
//! * [`write()`]: the pipeline; [`recompress`]: the same for a tar that is there already.

mod codes;
mod deflate;
pub(crate) mod elf;
mod inflate;
mod recompress;
mod scan;
mod segment;
mod splice;
mod tar;
mod tree;
mod write;

pub use recompress::{recompress, zstd};
pub use splice::SPLICE_VERSION;
pub use tree::{Content, Entry, FileTree, Kind, Member, SourceFile, Stat};
pub use write::{WRITER_VERSION, WriteOptions, Written, write};
