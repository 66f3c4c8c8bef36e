//! Writes blocks: stored, or compressed with fixed or dynamic Huffman codes
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.3 to 3.2.7).

use std::sync::LazyLock;

use super::bit_buffer::BitBuffer;
use super::dynamic_header::DynamicHeader;
use super::frequencies::Frequencies;
use super::huffman::{Codeword, HuffmanCode, MAX_BITS};
use super::symbols::{
    DISTANCE_CODES, DISTANCE_EXTRA, END_OF_BLOCK, Extra, FIRST_LENGTH_CODE, LENGTH_EXTRA,
    LITERAL_LENGTH_SYMBOLS, Match, length_code,
};

/// Writes a block in the shortest of the three forms. `content` consists of `matches`, the literals between them, and
/// the literals after them; `frequencies` are those of its symbols, without the end-of-block symbol.
pub(super) fn write(
    content: &[u8],
    matches: &[Match],
    frequencies: &mut Frequencies,
    last: bool,
    out: &mut BitBuffer<'_>,
) {
    frequencies.literal_length[END_OF_BLOCK] = 1;
    let dynamic = Codes::new(frequencies);
    let header = DynamicHeader::new(&dynamic.literal_length.lengths, &dynamic.distance.lengths);
    let dynamic_size = BLOCK_HEADER + header.size() + dynamic.size(frequencies);
    let fixed_size = BLOCK_HEADER + FIXED.size(frequencies);
    if stored_size(content.len(), out.unused_bits()) < fixed_size.min(dynamic_size) {
        write_stored(content, last, out);
    } else if fixed_size <= dynamic_size {
        out.put(u64::from(last) | 1 << 1, BLOCK_HEADER as u32);
        FIXED.write(content, matches, out);
    } else {
        out.put(u64::from(last) | 2 << 1, BLOCK_HEADER as u32);
        header.write(out);
        dynamic.write(content, matches, out);
    }
}

/// Bits of a block's header: BFINAL and BTYPE.
const BLOCK_HEADER: usize = 3;

/// The bytes of a sync flush after a block that leaves `unused_bits` zero bits in its last byte: an empty stored block,
/// as zlib writes it. The header of that block is in the last byte already when it fits there.
pub(in super::super) fn sync_flush(unused_bits: usize) -> &'static [u8] {
    const EMPTY_STORED_BLOCK: &[u8] = &[0, 0, 0, 0xff, 0xff];
    if unused_bits < BLOCK_HEADER { EMPTY_STORED_BLOCK } else { &EMPTY_STORED_BLOCK[1..] }
}

/// The longest content of a stored block.
const MAX_STORED: usize = 0xffff;

/// Output space for blocks of `length` bytes in total, the padding of [`BitBuffer`] included, if every block but the
/// last has at least 3 KiB (zlib's `deflateBound`). In the worst case all are stored: six bytes for each block, and
/// five more for every further 64 KiB of it.
pub(super) fn bound(length: usize) -> usize {
    length + length / 256 + 64
}

/// Size in bits of the output of [`write_stored`].
fn stored_size(length: usize, unused_bits: usize) -> usize {
    let header = if unused_bits < BLOCK_HEADER { 8 + unused_bits } else { unused_bits };
    header + 32 + length.saturating_sub(1) / MAX_STORED * 40 + length * 8
}

fn write_stored(content: &[u8], last: bool, out: &mut BitBuffer<'_>) {
    let mut rest = content;
    loop {
        let (stored, more) = rest.split_at(rest.len().min(MAX_STORED));
        out.put(u64::from(last && more.is_empty()), BLOCK_HEADER as u32);
        out.align();
        let length = stored.len() as u16;
        out.copy(&length.to_le_bytes());
        out.copy(&(!length).to_le_bytes());
        out.copy(stored);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

/// The two Huffman codes of a compressed block.
struct Codes {
    literal_length: HuffmanCode<LITERAL_LENGTH_SYMBOLS>,
    distance: HuffmanCode<DISTANCE_CODES>,
}

/// The fixed codes (3.2.6).
static FIXED: LazyLock<Codes> = LazyLock::new(|| {
    let mut lengths = [8; LITERAL_LENGTH_SYMBOLS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Codes {
        literal_length: HuffmanCode::from_lengths(lengths),
        distance: HuffmanCode::from_lengths([5; DISTANCE_CODES]),
    }
});

impl Codes {
    fn new(frequencies: &Frequencies) -> Codes {
        Codes {
            literal_length: HuffmanCode::from_frequencies(&frequencies.literal_length, MAX_BITS),
            distance: HuffmanCode::from_frequencies(&frequencies.distance, MAX_BITS),
        }
    }

    /// Size in bits of symbols with these frequencies.
    fn size(&self, frequencies: &Frequencies) -> usize {
        let codewords = |frequencies: &[u32], lengths: &[u8]| -> usize {
            let pairs = frequencies.iter().zip(lengths);
            pairs.map(|(&frequency, &length)| frequency as usize * length as usize).sum()
        };
        let extra_bits = |frequencies: &[u32], extra: &[Extra]| -> usize {
            let pairs = frequencies.iter().zip(extra);
            pairs.map(|(&frequency, extra)| frequency as usize * extra.bits as usize).sum()
        };
        codewords(&frequencies.literal_length, &self.literal_length.lengths)
            + codewords(&frequencies.distance, &self.distance.lengths)
            + extra_bits(&frequencies.literal_length[FIRST_LENGTH_CODE..], &LENGTH_EXTRA)
            + extra_bits(&frequencies.distance, &DISTANCE_EXTRA)
    }

    /// Writes the symbols of a block, and its end.
    fn write(&self, content: &[u8], matches: &[Match], out: &mut BitBuffer<'_>) {
        let literals: [Codeword; 256] = std::array::from_fn(|literal| self.literal_length.codeword(literal));
        let lengths = self.length_codewords();
        let distances: [Codeword; DISTANCE_CODES] = std::array::from_fn(|code| self.distance.codeword(code));
        let mut rest = content;
        for found in matches {
            let (run, matched) = rest.split_at(found.literals as usize);
            write_literals(run, &literals, out);
            rest = &matched[found.length()..];
            let length = lengths[found.length_offset as usize];
            out.push(length.bits.into(), length.length.into());
            let code = found.distance_code();
            let distance = distances[code];
            out.push(distance.bits.into(), distance.length.into());
            let extra = DISTANCE_EXTRA[code];
            out.push(u64::from(found.distance_offset - extra.base), extra.bits.into());
            out.flush();
        }
        write_literals(rest, &literals, out);
        let end = self.literal_length.codeword(END_OF_BLOCK);
        out.put(end.bits.into(), end.length.into());
    }

    /// By length offset: the codeword of the length code, with the extra bits.
    fn length_codewords(&self) -> [Codeword; 256] {
        std::array::from_fn(|offset| {
            let code = length_code(offset as u8);
            let (codeword, extra) =
                (self.literal_length.codeword(FIRST_LENGTH_CODE + code), LENGTH_EXTRA[code]);
            let value = offset as u32 - u32::from(extra.base);
            Codeword { bits: codeword.bits | value << codeword.length, length: codeword.length + extra.bits }
        })
    }
}

#[inline(always)]
fn write_literals(literals: &[u8], codewords: &[Codeword; 256], out: &mut BitBuffer<'_>) {
    let push = |literal: u8, out: &mut BitBuffer<'_>| {
        let codeword = codewords[literal as usize];
        out.push(codeword.bits.into(), codeword.length.into());
    };
    // Three codewords of at most 15 bits fit between two flushes.
    let (threes, rest) = literals.as_chunks::<3>();
    for three in threes {
        three.iter().for_each(|&literal| push(literal, out));
        out.flush();
    }
    rest.iter().for_each(|&literal| push(literal, out));
    out.flush();
}
