//! A block: literals and matches with the codes that suit them, or the bytes as they are
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.3 to 3.2.7).

use std::sync::LazyLock;

use super::bits::Bits;
use super::counts::Counts;
use super::huffman::Code;
use super::matches::Match;
use super::symbols::{
    DISTANCE_EXTRA, DISTANCES, END, Extra, LENGTH_EXTRA, LENGTH_SYMBOLS, LITERALS, distance_symbol,
};

/// Writes `content`, which `matches` and the literals between and behind them make up, in whatever form is the
/// shortest.
pub(super) fn write(content: &[u8], matches: &[Match], counts: &mut Counts, last: bool, out: &mut Bits<'_>) {
    counts.literals[END] = 1;
    let codes =
        Codes { literals: Code::of(&counts.literals, 15), distances: Code::of(&counts.distances, 15) };
    let head = Head::of(&codes);
    let (dynamic, fixed) = (KIND + head.size() + codes.size(counts), KIND + FIXED.size(counts));
    if stored_size(content.len(), out.spare()) < fixed.min(dynamic) {
        stored(content, last, out);
    } else if fixed <= dynamic {
        out.put(u64::from(last) | 1 << 1, KIND as u32);
        FIXED.write(content, matches, out);
    } else {
        out.put(u64::from(last) | 2 << 1, KIND as u32);
        head.write(out);
        codes.write(content, matches, out);
    }
}

/// The bits that say which form a block has, and whether it is the last.
const KIND: usize = 3;

/// What leads from the end of a block to the next byte, behind a byte of which `spare` bits are left, all zero.
///
/// An empty stored block, as zlib's sync flush writes it: three zero bits, zeros up to the byte, then the length 0
/// and its complement. Its first bits are in the last byte when there is room for them.
pub(in super::super) fn sync(spare: usize) -> &'static [u8] {
    const BLOCK: &[u8] = &[0, 0, 0, 0xff, 0xff];
    if spare < 3 { BLOCK } else { &BLOCK[1..] }
}

/// The most bytes that a stored block can have.
const MOST_STORED: usize = 0xffff;

/// The room for blocks of `length` bytes in all, and what [`Bits`] wants behind them, when each but the last has at
/// least 3 KiB: at worst they are stored, which takes six bytes besides the content and five for each 64 KiB more.
pub(super) fn bound(length: usize) -> usize {
    length + length / 256 + 64
}

/// The bits that [`stored`] takes.
fn stored_size(length: usize, spare: usize) -> usize {
    let first = if spare < 3 { 8 + spare } else { spare };
    first + 32 + length.saturating_sub(1) / MOST_STORED * 40 + length * 8
}

fn stored(content: &[u8], last: bool, out: &mut Bits<'_>) {
    let mut rest = content;
    loop {
        let (piece, more) = rest.split_at(rest.len().min(MOST_STORED));
        out.put(u64::from(last && more.is_empty()), 3);
        out.align();
        let length = piece.len() as u16;
        out.bytes(&length.to_le_bytes());
        out.bytes(&(!length).to_le_bytes());
        out.bytes(piece);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

struct Codes {
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
}

/// The codes that need no head (3.2.6).
static FIXED: LazyLock<Codes> = LazyLock::new(|| {
    let mut lengths = [8; LITERALS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Codes { literals: Code::canonical(lengths), distances: Code::canonical([5; DISTANCES]) }
});

impl Codes {
    /// The bits that symbols so often take.
    fn size(&self, counts: &Counts) -> usize {
        let bits = |counts: &[u32], lengths: &[u8]| -> usize {
            counts.iter().zip(lengths).map(|(&count, &length)| count as usize * length as usize).sum()
        };
        let extra = |counts: &[u32], extra: &[Extra]| -> usize {
            counts.iter().zip(extra).map(|(&count, extra)| count as usize * extra.bits as usize).sum()
        };
        bits(&counts.literals, &self.literals.lengths)
            + bits(&counts.distances, &self.distances.lengths)
            + extra(&counts.literals[END + 1..], &LENGTH_EXTRA)
            + extra(&counts.distances, &DISTANCE_EXTRA)
    }

    fn write(&self, content: &[u8], matches: &[Match], out: &mut Bits<'_>) {
        let literals = self.literal_words();
        let lengths = self.length_words();
        let distances = self.distance_words();
        let mut rest = content;
        for found in matches {
            let (before, matched) = rest.split_at(found.literals as usize);
            write_literals(before, &literals, out);
            rest = &matched[found.length()..];
            let length = lengths[found.length as usize];
            out.add(length.bits.into(), length.count.into());
            let symbol = distance_symbol(found.distance);
            let distance = distances[symbol % 32];
            out.add(distance.bits.into(), distance.count.into());
            let extra = DISTANCE_EXTRA[symbol % 32];
            out.add(u64::from(found.distance - extra.base), extra.bits.into());
            out.flush();
        }
        write_literals(rest, &literals, out);
        let end = self.literals.word(END);
        out.put(end.bits.into(), end.count.into());
    }

    fn literal_words(&self) -> [Word; 256] {
        std::array::from_fn(|literal| self.literals.word(literal))
    }

    /// Of lengths with their extra bits.
    fn length_words(&self) -> [Word; 256] {
        std::array::from_fn(|length| {
            let symbol = LENGTH_SYMBOLS[length] as usize;
            let (word, extra) = (self.literals.word(END + 1 + symbol), LENGTH_EXTRA[symbol]);
            let value = length as u32 - u32::from(extra.base);
            Word { bits: word.bits | value << word.count, count: word.count + extra.bits }
        })
    }

    fn distance_words(&self) -> [Word; 32] {
        std::array::from_fn(|symbol| {
            if symbol < DISTANCES { self.distances.word(symbol) } else { Word { bits: 0, count: 0 } }
        })
    }
}

/// What is written for a symbol.
#[derive(Clone, Copy)]
struct Word {
    bits: u32,
    count: u8,
}

impl<const N: usize> Code<N> {
    fn word(&self, symbol: usize) -> Word {
        Word { bits: self.bits[symbol].into(), count: self.lengths[symbol] }
    }
}

#[inline(always)]
fn write_literals(literals: &[u8], words: &[Word; 256], out: &mut Bits<'_>) {
    let add = |literal: u8, out: &mut Bits<'_>| {
        let word = words[literal as usize];
        out.add(word.bits.into(), word.count.into());
    };
    // as many as fit between two flushes
    let threes = literals.chunks_exact(3);
    let rest = threes.remainder();
    for three in threes {
        three.iter().for_each(|&literal| add(literal, out));
        out.flush();
    }
    rest.iter().for_each(|&literal| add(literal, out));
    out.flush();
}

/// What comes before a block's symbols: the lengths of its codes, in a code of their own (3.2.7).
struct Head {
    literals: usize,
    distances: usize,
    /// How many of [`ORDER`] have a length in the head.
    sent: usize,
    runs: Vec<Run>,
    code: Code<19>,
}

/// A length, or one of the symbols that stand for a repetition, with the value of its extra bits.
struct Run {
    symbol: u8,
    extra: u8,
}

/// The order in which the lengths of the code length code are sent.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The extra bits of symbol 16, that repeats the length before 3 to 6 times, of 17 and 18, that stand for 3 to 10 and
/// 11 to 138 zeros.
const RUN_BITS: [u8; 3] = [2, 3, 7];

impl Head {
    fn of(codes: &Codes) -> Head {
        let used = |lengths: &[u8]| lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1);
        let (literals, distances) = (used(&codes.literals.lengths), used(&codes.distances.lengths));
        let lengths = [&codes.literals.lengths[..literals], &codes.distances.lengths[..distances]].concat();
        let mut runs = Vec::new();
        for same in lengths.chunk_by(|first, second| first == second) {
            repeat(same[0], same.len(), &mut runs);
        }
        let mut counts = [0; 19];
        for run in &runs {
            counts[run.symbol as usize] += 1;
        }
        let code = Code::of(&counts, 7);
        let sent =
            ORDER.iter().rposition(|&symbol| code.lengths[symbol] > 0).map_or(4, |last| 4.max(last + 1));
        Head { literals, distances, sent, runs, code }
    }

    fn size(&self) -> usize {
        let runs = self.runs.iter().map(|run| (self.code.lengths[run.symbol as usize] + run.bits()) as usize);
        14 + 3 * self.sent + runs.sum::<usize>()
    }

    fn write(&self, out: &mut Bits<'_>) {
        out.add(self.literals as u64 - 257, 5);
        out.add(self.distances as u64 - 1, 5);
        out.put(self.sent as u64 - 4, 4);
        for &symbol in &ORDER[..self.sent] {
            out.put(self.code.lengths[symbol].into(), 3);
        }
        for run in &self.runs {
            let word = self.code.word(run.symbol as usize);
            out.add(word.bits.into(), word.count.into());
            out.put(run.extra.into(), run.bits().into());
        }
    }
}

impl Run {
    /// How many extra bits there are.
    fn bits(&self) -> u8 {
        self.symbol.checked_sub(16).map_or(0, |repeated| RUN_BITS[repeated as usize])
    }
}

/// `length`, `times` in a row.
fn repeat(length: u8, mut times: usize, runs: &mut Vec<Run>) {
    if length == 0 {
        while times >= 11 {
            let zeros = times.min(138);
            runs.push(Run { symbol: 18, extra: (zeros - 11) as u8 });
            times -= zeros;
        }
        if times >= 3 {
            runs.push(Run { symbol: 17, extra: (times - 3) as u8 });
            times = 0;
        }
    } else {
        runs.push(Run { symbol: length, extra: 0 });
        times -= 1;
        while times >= 3 {
            let again = times.min(6);
            runs.push(Run { symbol: 16, extra: (again - 3) as u8 });
            times -= again;
        }
    }
    runs.extend((0..times).map(|_| Run { symbol: length, extra: 0 }));
}
