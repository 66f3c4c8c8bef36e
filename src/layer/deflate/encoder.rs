//! Deflates one segment, so that another may follow.

use super::bit_buffer::BitBuffer;
use super::block;
use super::frequencies::{Frequencies, ONE_BIT};
use super::lazy_matching::LazyMatcher;
use super::symbols::Match;
use super::window::Window;

/// Deflates segments. The result depends on the window only, not on earlier segments, and therefore not on the number
/// of threads.
pub(super) struct Encoder {
    matcher: LazyMatcher,
    /// The matches of the current block.
    matches: Vec<Match>,
    /// The output buffer; reused because its initialization takes time.
    buffer: Vec<u8>,
}

/// Number of matches in a chunk; blocks end only between chunks. A chunk covers at least the 3 KiB that
/// [`block::bound`] requires.
const CHUNK_MATCHES: usize = 1 << 10;

/// The maximum length of the content of a block of several chunks.
const MAX_BLOCK: usize = 256 << 10;

/// Approximate size of the header of a dynamic block.
const DYNAMIC_HEADER: u64 = 600 * ONE_BIT;

/// Matches of three bytes are searched when a literal costs more than this.
const HASH3_LITERAL_COST: u64 = 68 * ONE_BIT / 10;

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { matcher: LazyMatcher::new(), matches: Vec::new(), buffer: Vec::new() }
    }

    /// Replaces the content of `out` with the deflated segment. The `last` segment ends the stream; the others end
    /// with a sync flush, at a byte boundary.
    pub fn deflate(&mut self, window: &Window, last: bool, out: &mut Vec<u8>) {
        let bound = block::bound(window.segment_length());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut bits = BitBuffer::new(&mut buffer);
        if last || !window.is_empty() {
            self.write_blocks(window, last, &mut bits);
        }
        let flush = if last { &[] } else { block::sync_flush(bits.unused_bits()) };
        bits.align();
        bits.copy(flush);
        out.clear();
        out.extend_from_slice(bits.written());
        self.buffer = buffer;
    }

    /// Splits the segment into blocks. A chunk extends the current block, unless a new block with its own codes is
    /// shorter or the current block would exceed [`MAX_BLOCK`].
    fn write_blocks(&mut self, window: &Window, last: bool, out: &mut BitBuffer<'_>) {
        self.matcher.reset(window);
        self.matches.clear();
        let (bytes, end) = (window.bytes(), window.end());
        // The block so far is `block_start..chunk_start`, with the first `block_matches` matches.
        let (mut block_start, mut chunk_start) = (window.segment_start(), window.segment_start());
        let mut block_matches = 0;
        let mut frequencies = Frequencies::new();
        let mut hash3 = false;
        while chunk_start < end {
            let chunk_end = self.matcher.find(window, chunk_start, CHUNK_MATCHES, hash3, &mut self.matches);
            let mut chunk = Frequencies::new();
            chunk.count(&self.matches[block_matches..], &bytes[chunk_start..chunk_end]);
            hash3 = chunk.literal_cost() > HASH3_LITERAL_COST;
            let split = chunk_start > block_start
                && (chunk_end - block_start > MAX_BLOCK || frequencies.sharing_cost(&chunk) > DYNAMIC_HEADER);
            if split {
                let content = &bytes[block_start..chunk_start];
                block::write(content, &self.matches[..block_matches], &mut frequencies, false, out);
                self.matches.drain(..block_matches);
                block_start = chunk_start;
                frequencies = chunk;
            } else {
                frequencies.add(&chunk);
            }
            (chunk_start, block_matches) = (chunk_end, self.matches.len());
        }
        block::write(&bytes[block_start..], &self.matches, &mut frequencies, last, out);
    }
}

#[cfg(test)]
mod tests;
