//! Where the last block of a deflate stream begins and ends.
//!
//! A deflate stream is a chain of blocks, and the last one says so in the first bit of its header
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.3). To let another stream follow, that bit must be
//! cleared; to find it, the codes must be followed from the start, for blocks do not tell their length. The
//! content itself is not needed, so this is several times quicker than inflating.

/// What [`tail`] finds. Positions are in bits from the start of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The bit that marks the last block.
    pub final_bit: usize,
    /// The first bit after the last block.
    pub end: usize,
    /// How many bytes the stream inflates to.
    pub size: usize,
}

/// Follows the blocks of `stream`, or `None` when it is no whole deflate stream.
pub(super) fn tail(stream: &[u8]) -> Option<Tail> {
    let mut reader = Reader { stream, at: 0, size: 0 };
    let mut codes = Codes::default();
    loop {
        let final_bit = reader.at;
        let last = reader.take(1)? == 1;
        match reader.take(2)? {
            0 => reader.stored()?,
            1 => {
                codes.fixed()?;
                reader.block(&codes)?;
            }
            2 => {
                codes.dynamic(&mut reader)?;
                reader.block(&codes)?;
            }
            _ => return None,
        }
        if last {
            return Some(Tail { final_bit, end: reader.at, size: reader.size });
        }
    }
}

struct Reader<'a> {
    stream: &'a [u8],
    /// In bits.
    at: usize,
    /// Bytes that the blocks so far inflate to.
    size: usize,
}

impl Reader<'_> {
    /// At least 57 bits from here on; zeros after the end.
    #[inline(always)]
    fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.stream.get(byte..byte + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().expect("eight bytes")),
            None => {
                let rest = self.stream.get(byte..).unwrap_or_default();
                let mut eight = [0; 8];
                eight[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(eight)
            }
        };
        word >> (self.at % 8)
    }

    fn take(&mut self, bits: usize) -> Option<usize> {
        let value = self.peek() & ((1 << bits) - 1);
        self.at += bits;
        (self.at <= self.stream.len() * 8).then_some(value as usize)
    }

    fn stored(&mut self) -> Option<()> {
        self.at = self.at.next_multiple_of(8);
        let length = self.take(16)?;
        let complement = self.take(16)?;
        self.at += length * 8;
        self.size += length;
        (length ^ complement == 0xffff && self.at <= self.stream.len() * 8).then_some(())
    }

    /// Follows the codes of one block up to its end.
    fn block(&mut self, codes: &Codes) -> Option<()> {
        while self.at < self.stream.len() * 8 {
            let mut word = self.peek();
            let mut entry = codes.symbols.entry(word);
            // One look holds three literals of 15 bits, and the one after them is looked up only.
            let mut literals = 0;
            while entry.base == LITERAL && literals < 3 {
                literals += 1;
                self.at += usize::from(entry.bits);
                word >>= entry.bits;
                entry = codes.symbols.entry(word);
            }
            self.size += literals;
            if entry.base == LITERAL {
                continue;
            }
            if literals > 0 {
                word = self.peek();
            }
            if entry.bits == 0 {
                return None;
            }
            self.at += usize::from(entry.bits);
            if entry.base == END_OF_BLOCK {
                return (self.at <= self.stream.len() * 8).then_some(());
            }
            word >>= entry.bits;
            self.size += usize::from(entry.base) + (word & ((1 << entry.extra) - 1)) as usize;
            word >>= entry.extra;
            let distance = codes.distances.entry(word);
            if distance.bits == 0 {
                return None;
            }
            self.at += usize::from(entry.extra) + usize::from(distance.bits) + usize::from(distance.extra);
        }
        None
    }
}

/// The codes of a block: of literals and lengths, and of distances.
#[derive(Default)]
struct Codes {
    symbols: Code<11>,
    distances: Code<8>,
}

/// The order in which the lengths of the code length code are sent (RFC 1951, 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Codes {
    fn fixed(&mut self) -> Option<()> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.symbols.set(&lengths, symbol)?;
        self.distances.set(&[5; 30], distance)
    }

    fn dynamic(&mut self, reader: &mut Reader) -> Option<()> {
        let symbols = reader.take(5)? + 257;
        let distances = reader.take(5)? + 1;
        let sent = reader.take(4)? + 4;
        let mut lengths = [0; 19];
        for &place in &ORDER[..sent] {
            lengths[place] = reader.take(3)? as u8;
        }
        let mut code = Code::<7>::default();
        code.set(&lengths, |symbol| Entry { bits: 0, extra: 0, base: symbol })?;

        let mut lengths = [0; 286 + 32];
        let mut count = 0;
        while count < symbols + distances {
            let entry = code.entry(reader.peek());
            reader.at += usize::from(entry.bits);
            let (length, times) = match entry.base {
                _ if entry.bits == 0 => return None,
                16 => (*lengths.get(count.checked_sub(1)?)?, 3 + reader.take(2)?),
                17 => (0, 3 + reader.take(3)?),
                18 => (0, 11 + reader.take(7)?),
                length => (length as u8, 1),
            };
            lengths.get_mut(count..count + times)?.fill(length);
            count += times;
        }
        if count != symbols + distances {
            return None;
        }
        self.symbols.set(&lengths[..symbols], symbol)?;
        self.distances.set(&lengths[symbols..count], distance)
    }
}

const LITERAL: u16 = 1;
const END_OF_BLOCK: u16 = 0;

/// What a code stands for.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The length of the code; 0 when no code begins with these bits.
    bits: u8,
    /// How many bits follow the code.
    extra: u8,
    /// The bytes that it inflates to, the value of the extra bits not counted.
    base: u16,
}

/// What stands in a table for a code that is longer than the table's index.
const LONG: u8 = 255;

/// The meaning of a literal or length symbol (RFC 1951, 3.2.5).
fn symbol(symbol: u16) -> Entry {
    let (extra, base) = match symbol {
        ..256 => (0, LITERAL),
        256 => (0, END_OF_BLOCK),
        257..265 => (0, symbol - 254),
        265..285 => {
            let extra = (symbol - 261) / 4;
            (extra as u8, ((4 + (symbol - 261) % 4) << extra) + 3)
        }
        _ => (0, 258),
    };
    Entry { bits: 0, extra, base }
}

/// The meaning of a distance symbol: its extra bits only.
fn distance(symbol: u16) -> Entry {
    Entry { bits: 0, extra: symbol.saturating_sub(2) as u8 / 2, base: 0 }
}

/// A canonical Huffman code: a table for codes of up to `BITS` bits, and lists for the longer ones.
struct Code<const BITS: usize> {
    table: Vec<Entry>,
    /// How many codes there are of each length.
    counts: [u16; 16],
    /// What the codes mean, in their order.
    entries: Vec<Entry>,
}

impl<const BITS: usize> Default for Code<BITS> {
    fn default() -> Self {
        Code { table: vec![Entry::default(); 1 << BITS], counts: [0; 16], entries: Vec::with_capacity(288) }
    }
}

impl<const BITS: usize> Code<BITS> {
    /// Makes this the code in which each symbol has the given length, 0 for none; `None` when there are
    /// more codes than the lengths leave room for.
    fn set(&mut self, lengths: &[u8], meaning: impl Fn(u16) -> Entry) -> Option<()> {
        self.table.fill(Entry::default());
        self.entries.clear();
        self.counts = [0; 16];
        let mut code = 0usize;
        for bits in 1..=15u8 {
            code <<= 1;
            for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &length)| length == bits) {
                if code >> bits != 0 {
                    return None;
                }
                let entry = Entry { bits, ..meaning(symbol as u16) };
                self.enter(code, entry);
                self.entries.push(entry);
                self.counts[usize::from(bits)] += 1;
                code += 1;
            }
        }
        Some(())
    }

    /// Codes are sent from their most significant bit, so a table by the bits read holds them reversed.
    fn enter(&mut self, code: usize, entry: Entry) {
        let bits = usize::from(entry.bits);
        let reversed = code.reverse_bits() >> (usize::BITS as usize - bits);
        if bits > BITS {
            self.table[reversed & ((1 << BITS) - 1)].bits = LONG;
            return;
        }
        for place in self.table[reversed..].iter_mut().step_by(1 << bits) {
            *place = entry;
        }
    }

    #[inline(always)]
    fn entry(&self, word: u64) -> Entry {
        let entry = self.table[word as usize & ((1 << BITS) - 1)];
        if entry.bits == LONG { self.long(word) } else { entry }
    }

    /// Bit by bit: codes of a length are consecutive numbers, so each step compares with a range.
    #[cold]
    fn long(&self, mut word: u64) -> Entry {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            code = code << 1 | (word & 1) as usize;
            word >>= 1;
            let count = usize::from(count);
            if code < first + count {
                return self.entries[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
        }
        Entry::default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};
    use proptest::prelude::*;

    use super::*;

    fn deflated(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn known_streams() {
        // an empty stored block; an empty block of fixed codes; "a" in fixed codes
        assert_eq!(tail(&[1, 0, 0, 0xff, 0xff]), Some(Tail { final_bit: 0, end: 40, size: 0 }));
        assert_eq!(tail(&[3, 0]), Some(Tail { final_bit: 0, end: 10, size: 0 }));
        assert_eq!(tail(&[0x4b, 0x04, 0]), Some(Tail { final_bit: 0, end: 18, size: 1 }));
        // a sync flush before: the last block is the second
        assert_eq!(tail(&[0, 0, 0, 0xff, 0xff, 3, 0]), Some(Tail { final_bit: 40, end: 50, size: 0 }));
    }

    #[test]
    fn broken_streams_are_none() {
        for stream in
            [&[][..], &[7], &[2], &[0, 0, 0, 0xff, 0xff], &[1, 1, 0, 0xff, 0xff], &[1, 1, 0, 0xfe, 0xff]]
        {
            assert_eq!(tail(stream), None, "{stream:?}");
        }
        let whole = deflated(&(0..60_000u32).flat_map(|i| (i * i).to_le_bytes()).collect::<Vec<_>>(), 6);
        for cut in [0, 1, 10, 1000, whole.len() - 1] {
            assert_eq!(tail(&whole[..cut]), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn size_and_end_are_those_of_the_stream(
            words in prop::collection::vec((any::<u8>(), 0u8..6, 1usize..400), 1..400),
            level in 0u32..=9,
        ) {
            let mut content = Vec::new();
            for (seed, shift, length) in words {
                content.extend((0..length).map(|i| (i as u32).wrapping_mul(u32::from(seed) * 2654435) as u8 >> shift));
            }
            let stream = deflated(&content, level);
            let tail = tail(&stream).expect("a whole stream");
            prop_assert_eq!(tail.size, content.len());
            prop_assert_eq!(tail.end.div_ceil(8), stream.len());
            prop_assert_eq!(stream[tail.final_bit / 8] >> (tail.final_bit % 8) & 1, 1);
        }

        #[test]
        fn any_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..300)) {
            tail(&stream);
        }
    }
}
