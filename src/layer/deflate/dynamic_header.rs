//! The header of a dynamic block: the code lengths of its two Huffman codes, run-length encoded and written in a third
//! code ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.7).

use super::bit_buffer::BitBuffer;
use super::huffman::HuffmanCode;
use super::symbols::{DISTANCE_CODES, FIRST_LENGTH_CODE, LITERAL_LENGTH_SYMBOLS};

/// Size of the alphabet of the code length code (zlib's `BL_CODES`).
const CODE_LENGTH_SYMBOLS: usize = 19;

/// The longest code length of the code length code (zlib's `MAX_BL_BITS`).
const MAX_CODE_LENGTH_BITS: usize = 7;

/// The order in which the lengths of the code length code are sent (zlib's `bl_order`).
const ORDER: [usize; CODE_LENGTH_SYMBOLS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Repeats the previous code length 3 to 6 times.
const REPEAT_PREVIOUS: u8 = 16;

/// Repeats a code length of zero 3 to 10 times.
const REPEAT_ZERO: u8 = 17;

/// Repeats a code length of zero 11 to 138 times.
const REPEAT_ZERO_LONG: u8 = 18;

pub(super) struct DynamicHeader {
    /// Number of literal/length code lengths (HLIT + 257).
    literal_lengths: usize,
    /// Number of distance code lengths (HDIST + 1).
    distances: usize,
    /// Number of lengths of the code length code, in [`ORDER`] (HCLEN + 4).
    code_lengths: usize,
    symbols: Vec<CodeLengthSymbol>,
    code: HuffmanCode<CODE_LENGTH_SYMBOLS>,
}

/// A code length, or one of the `REPEAT` symbols with the value of its extra bits.
struct CodeLengthSymbol {
    symbol: u8,
    extra: u8,
}

impl DynamicHeader {
    /// The header for two codes with these code lengths.
    pub fn new(
        literal_length: &[u8; LITERAL_LENGTH_SYMBOLS],
        distance: &[u8; DISTANCE_CODES],
    ) -> DynamicHeader {
        let used = |lengths: &[u8]| lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1);
        let (literal_lengths, distances) = (used(literal_length), used(distance));
        let lengths = [&literal_length[..literal_lengths], &distance[..distances]].concat();
        let mut symbols = Vec::new();
        for run in lengths.chunk_by(|first, second| first == second) {
            encode_run(run[0], run.len(), &mut symbols);
        }
        let mut frequencies = [0; CODE_LENGTH_SYMBOLS];
        for symbol in &symbols {
            frequencies[symbol.symbol as usize] += 1;
        }
        let code = HuffmanCode::from_frequencies(&frequencies, MAX_CODE_LENGTH_BITS);
        let code_lengths = used(&ORDER.map(|symbol| code.lengths[symbol])).max(4);
        DynamicHeader { literal_lengths, distances, code_lengths, symbols, code }
    }

    /// Size in bits.
    pub fn size(&self) -> usize {
        let size = |symbol: &CodeLengthSymbol| {
            (self.code.lengths[symbol.symbol as usize] + symbol.extra_bits()) as usize
        };
        14 + 3 * self.code_lengths + self.symbols.iter().map(size).sum::<usize>()
    }

    pub fn write(&self, out: &mut BitBuffer<'_>) {
        out.push((self.literal_lengths - FIRST_LENGTH_CODE) as u64, 5);
        out.push(self.distances as u64 - 1, 5);
        out.put(self.code_lengths as u64 - 4, 4);
        for &symbol in &ORDER[..self.code_lengths] {
            out.put(self.code.lengths[symbol].into(), 3);
        }
        for symbol in &self.symbols {
            let codeword = self.code.codeword(symbol.symbol as usize);
            out.push(codeword.bits.into(), codeword.length.into());
            out.put(symbol.extra.into(), symbol.extra_bits().into());
        }
    }
}

impl CodeLengthSymbol {
    /// Number of extra bits.
    fn extra_bits(&self) -> u8 {
        match self.symbol {
            REPEAT_PREVIOUS => 2,
            REPEAT_ZERO => 3,
            REPEAT_ZERO_LONG => 7,
            _ => 0,
        }
    }
}

/// Encodes a code length that occurs `count` times in a row.
fn encode_run(length: u8, mut count: usize, symbols: &mut Vec<CodeLengthSymbol>) {
    if length == 0 {
        while count >= 11 {
            let zeros = count.min(138);
            symbols.push(CodeLengthSymbol { symbol: REPEAT_ZERO_LONG, extra: (zeros - 11) as u8 });
            count -= zeros;
        }
        if count >= 3 {
            symbols.push(CodeLengthSymbol { symbol: REPEAT_ZERO, extra: (count - 3) as u8 });
            count = 0;
        }
    } else {
        symbols.push(CodeLengthSymbol { symbol: length, extra: 0 });
        count -= 1;
        while count >= 3 {
            let repeats = count.min(6);
            symbols.push(CodeLengthSymbol { symbol: REPEAT_PREVIOUS, extra: (repeats - 3) as u8 });
            count -= repeats;
        }
    }
    symbols.extend((0..count).map(|_| CodeLengthSymbol { symbol: length, extra: 0 }));
}
