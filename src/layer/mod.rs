//! From a tree of files to a layer: one gzip-compressed tar whose bytes depend on the tree and nothing else.
//!
//! ```text
//! FileTree ── tar ──┬── segments ── deflate ── gzip ──┬── out
//!                   └── sha256: diff id               └── sha256: digest
//! ```
//!
//! * `tar`: every rule of the headers.
//! * `deflate`: the stream cut into segments, which any number of threads compress into the same bytes.
//! * `splice`, `inflate`: what a zip archive has deflated already, joined in as it is.
//! * `elf`: which machine a binary is for, and what it asks for there.
//! * `read`, [`survey`], [`overlay`]: the way back, from any layer to what it holds, and from all to what is seen.
//! * [`write()`]: the pipeline; [`recompress`]: the same for a tar that is there already.

mod deflate;
pub(crate) mod elf;
mod inflate;
pub mod overlay;
mod read;
mod recompress;
mod splice;
mod spool;
pub mod survey;
mod tar;
mod write;

pub use elf::{Elf, Machine};
pub use recompress::{MAX_LAYER, recompress, zstd};
pub use splice::SPLICE_VERSION;
pub use survey::Survey;
pub use write::{WRITER_VERSION, WriteOptions, Written, write};
