//! One segment of the stream, deflated so that another may follow.

use super::bits::Bits;
use super::block;
use super::counts::{Counts, ONE_BIT};
use super::matches::{Chains, Match};
use super::window::Window;

/// Deflates segments, each knowing nothing but what its window holds: what was deflated earlier has no influence, and
/// so neither has the number of threads.
pub(in super::super) struct Encoder {
    chains: Chains,
    /// Of the block that is being made.
    matches: Vec<Match>,
    /// Where blocks are written; made once, for it is to be initialised.
    room: Vec<u8>,
}

/// Matches after which it is decided whether the block goes on: 3 KiB at least, as [`block::bound`] wants it.
const PIECE: usize = 1 << 10;

/// A block of more bytes than this takes no other piece.
const BLOCK: usize = 256 << 10;

/// What a block takes besides its symbols, about.
const HEAD: u64 = 600 * ONE_BIT;

/// Where literals take more, it is worth while to look for matches of three bytes.
const DEAR: u64 = 68 * ONE_BIT / 10;

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { chains: Chains::new(), matches: Vec::new(), room: Vec::new() }
    }

    /// Replaces what is in `out` by the deflated segment: the end of a stream when it is the `last`, else whole
    /// bytes that the next segment's can follow.
    pub fn deflate(&mut self, window: &Window, last: bool, out: &mut Vec<u8>) {
        let room = block::bound(window.end() - window.begin());
        if self.room.len() < room {
            self.room.resize(room, 0);
        }
        let mut room = std::mem::take(&mut self.room);
        let mut bits = Bits::new(&mut room);
        if last || !window.is_empty() {
            self.blocks(window, last, &mut bits);
        }
        let sync = if last { &[] } else { block::sync(bits.spare()) };
        bits.align();
        bits.bytes(sync);
        out.clear();
        out.extend_from_slice(bits.written());
        self.room = room;
    }

    /// Each piece joins the block before it, unless both take less with codes of their own.
    fn blocks(&mut self, window: &Window, last: bool, out: &mut Bits<'_>) {
        self.chains.begin(window);
        self.matches.clear();
        let (bytes, end) = (window.bytes(), window.end());
        // the block is from `begin` to `middle`, and has the first `settled` matches; then comes the piece
        let (mut begin, mut middle, mut settled) = (window.begin(), window.begin(), 0);
        let mut counts = Counts::new();
        let mut threes = false;
        while middle < end {
            let to = self.chains.find(window, middle, PIECE, threes, &mut self.matches);
            let mut piece = Counts::new();
            piece.count(&self.matches[settled..], &bytes[middle..to]);
            threes = piece.bits_per_literal() > DEAR;
            if middle > begin && (to - begin > BLOCK || counts.cost_of_sharing(&piece) > HEAD) {
                block::write(&bytes[begin..middle], &self.matches[..settled], &mut counts, false, out);
                self.matches.drain(..settled);
                begin = middle;
                counts = piece;
            } else {
                counts.add(&piece);
            }
            (middle, settled) = (to, self.matches.len());
        }
        block::write(&bytes[begin..], &self.matches, &mut counts, last, out);
    }
}

#[cfg(test)]
mod tests;
