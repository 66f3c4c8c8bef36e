//! Compresses a stream into one gzip member with several threads; their number does not change the bytes.
//!
//! The stream is cut into segments of [one size](window::SEGMENT_SIZE), regardless of the sizes of the writes. Each
//! segment is deflated on its own, with the 32 KiB before it as dictionary, and ends with a sync flush, so that the
//! deflated segments can be written one after another.
//!
//! | module | content |
//! |---|---|
//! | `gzip`, `pool` | the gzip member; the threads that deflate its segments |
//! | `encoder` | one segment: splits it into blocks |
//! | `lazy_matching`, `hash_chains`, `window` | lazy matching; hash chains over a segment and its dictionary |
//! | `block`, `dynamic_header`, `frequencies`, `huffman` | stored, fixed and dynamic blocks; their Huffman codes |
//! | `symbols`, `bit_buffer` | length codes and distance codes; bits into bytes |
//!
//! lbuild has an encoder of its own because the libraries it could use are slower, or cannot set the dictionary of a
//! segment and end it with a sync flush. `benches/run deflate` compares it with others, one thread each: on
//! 2026-11-28, zlib-rs 0.6 took 1.1 to 1.5 times as long at level 5 and 1.4 to 1.8 times at level 6, pigz 3.1 times and
//! gzip 3.6 times at level 6; their outputs were between 1.7 % smaller and 1.2 % larger than lbuild's.

mod bit_buffer;
mod block;
#[cfg(test)]
mod decoders;
mod dynamic_header;
mod encoder;
mod frequencies;
mod gzip;
mod hash_chains;
mod huffman;
mod lazy_matching;
mod pool;
mod symbols;
mod window;

pub(super) use block::sync_flush;
pub(super) use gzip::GzipWriter;

/// The version of the encoder: raised with every change that alters its output. It is a part of
/// [`WRITER_VERSION`](super::WRITER_VERSION).
#[cfg(test)]
pub(super) const VERSION: u32 = 1;
