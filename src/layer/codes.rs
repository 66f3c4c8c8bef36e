//! The codes of a deflate block, read for how far they reach and not for what they say.
//!
//! [RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.2 and 3.2.5 to 3.2.7.

use super::scan::{Place, Reader};

/// What stands for the bits that come next, packed: from the lowest bit, how many to go on (6 bits), how many
/// of them are the code (6), whether a distance follows, whether this is [special](Entry::special), and from
/// bit 16 the bytes that it inflates to, the value of the extra bits not counted.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Entry(u32);

impl Entry {
    /// No code begins like this.
    const NONE: Entry = Entry(Self::SPECIAL | 2 << 16);
    /// A code longer than a table's index begins like this.
    const LONG: Entry = Entry(Self::SPECIAL | 1 << 16);
    /// The end of a block.
    const END: Entry = Entry(Self::SPECIAL);
    const LITERAL: Entry = Entry(1 << 16);
    const DISTANCE_FOLLOWS: u32 = 1 << 12;
    const SPECIAL: u32 = 1 << 13;

    fn length(base: usize, extra: usize) -> Entry {
        Entry((base as u32) << 16 | Self::DISTANCE_FOLLOWS | extra as u32)
    }

    /// The value of the extra bits of a distance is of no interest: as if they were the code's.
    fn distance(extra: usize) -> Entry {
        Entry((extra << 6 | extra) as u32)
    }

    fn value(value: usize) -> Entry {
        Entry((value as u32) << 16)
    }

    fn with_code(self, bits: usize) -> Entry {
        Entry(self.0 + (bits << 6 | bits) as u32)
    }

    /// Two literals as one entry.
    fn pair(self, second: Entry) -> Entry {
        Entry(self.0 + second.0)
    }

    #[inline(always)]
    pub fn total(self) -> usize {
        (self.0 & 63) as usize
    }

    #[inline(always)]
    pub fn size(self, word: u64) -> usize {
        let code = self.0 >> 6 & 63;
        let extra = (self.0 & 63) - code;
        self.base() + (word >> code & ((1 << extra) - 1)) as usize
    }

    #[inline(always)]
    fn base(self) -> usize {
        (self.0 >> 16) as usize
    }

    #[inline(always)]
    pub fn next(self) -> usize {
        (self.0 & Self::DISTANCE_FOLLOWS) as usize
    }

    /// Whether this is one of `NONE`, `LONG` and `END`.
    #[inline(always)]
    pub fn special(self) -> bool {
        self.0 & Self::SPECIAL != 0
    }
}

/// Where the tables begin in [`Codes::tables`]. Entries give these without arithmetic.
pub(super) const SYMBOLS: usize = 0;
const DISTANCES: usize = Entry::DISTANCE_FOLLOWS as usize;

/// The index bits of the tables. The first leave room for two literals.
const SYMBOL_BITS: usize = 11;
const DISTANCE_BITS: usize = 9;

/// The codes of a block: of literals and lengths, and of distances.
pub(super) struct Codes {
    /// Both tables in one array of a power of two, so that no index needs a check.
    tables: Box<[Entry; 2 * DISTANCES]>,
    symbols: Code,
    distances: Code,
}

/// The order in which the lengths of the code length code are sent (3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Codes {
    pub fn new() -> Codes {
        Codes { tables: Box::new([Entry::NONE; 2 * DISTANCES]), symbols: Code::new(), distances: Code::new() }
    }

    #[inline(always)]
    pub fn entry(&self, place: Place) -> Entry {
        let mask = ((1 << SYMBOL_BITS) - 1) >> (place.table / DISTANCES * (SYMBOL_BITS - DISTANCE_BITS));
        self.tables[(place.table + (place.bits as usize & mask)) % (2 * DISTANCES)]
    }

    /// As [`entry`](Codes::entry), but a long code's is its own, so that `END` is the only special one.
    pub fn whole_entry(&self, place: Place) -> Option<Entry> {
        let entry = match self.entry(place) {
            Entry::LONG if place.table == SYMBOLS => self.symbols.long(place.bits),
            Entry::LONG => self.distances.long(place.bits),
            entry => entry,
        };
        (entry != Entry::NONE).then_some(entry)
    }

    pub fn fixed(&mut self) -> Option<()> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.set(&lengths, &[5; 30])
    }

    pub fn dynamic(&mut self, reader: &mut Reader) -> Option<()> {
        let symbols = reader.take(5)? + 257;
        let distances = reader.take(5)? + 1;
        let sent = reader.take(4)? + 4;
        let mut lengths = [0; 19];
        for &place in &ORDER[..sent] {
            lengths[place] = reader.take(3)? as u8;
        }
        let mut table = [Entry::NONE; 1 << 7];
        Code::new().set(&lengths, Entry::value, &mut table)?;

        let mut lengths = [0; 286 + 32];
        let mut count = 0;
        while count < symbols + distances {
            let entry = table[reader.peek() as usize % table.len()];
            if entry.special() {
                return None;
            }
            reader.take(entry.total())?;
            let (length, times) = match entry.base() {
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
        self.set(&lengths[..symbols], &lengths[symbols..count])
    }

    fn set(&mut self, symbols: &[u8], distances: &[u8]) -> Option<()> {
        let (first, second) = self.tables.split_at_mut(DISTANCES);
        self.symbols.set(symbols, symbol, &mut first[..1 << SYMBOL_BITS])?;
        self.distances.set(distances, distance, &mut second[..1 << DISTANCE_BITS])?;
        // From the end: the entry of what follows has fewer bits set, so it stands before and is still single.
        for index in (0..1 << SYMBOL_BITS).rev() {
            let entry = first[index];
            let follows = first[index >> entry.total()];
            let literals =
                entry.0 >> 12 == Entry::LITERAL.0 >> 12 && follows.0 >> 12 == Entry::LITERAL.0 >> 12;
            if literals && entry.total() + follows.total() <= SYMBOL_BITS {
                first[index] = entry.pair(follows);
            }
        }
        Some(())
    }
}

/// The meaning of a literal or length symbol (3.2.5).
fn symbol(symbol: usize) -> Entry {
    match symbol {
        ..256 => Entry::LITERAL,
        256 => Entry::END,
        257..265 => Entry::length(symbol - 254, 0),
        265..285 => {
            let extra = (symbol - 261) / 4;
            Entry::length(((4 + (symbol - 261) % 4) << extra) + 3, extra)
        }
        _ => Entry::length(258, 0),
    }
}

/// The meaning of a distance symbol: its extra bits only.
fn distance(symbol: usize) -> Entry {
    Entry::distance(symbol.saturating_sub(2) / 2)
}

/// A canonical Huffman code, as lists; tables that [`Code::set`] fills spare their use.
struct Code {
    /// How many codes there are of each length.
    counts: [u16; 16],
    /// What the codes mean, in their order.
    entries: Vec<Entry>,
}

impl Code {
    fn new() -> Code {
        Code { counts: [0; 16], entries: Vec::with_capacity(288) }
    }

    /// Makes this the code in which each symbol has the given length, 0 for none, and fills a table of it;
    /// `None` when there are more codes than the lengths leave room for.
    fn set(&mut self, lengths: &[u8], meaning: impl Fn(usize) -> Entry, table: &mut [Entry]) -> Option<()> {
        table.fill(Entry::NONE);
        self.entries.clear();
        self.counts = [0; 16];
        for &length in lengths {
            self.counts[usize::from(length)] += 1;
        }
        // where the codes of each length begin: their numbers, and their places in the list
        let (mut codes, mut places) = ([0usize; 16], [0usize; 16]);
        for bits in 1..16 {
            let shorter = if bits == 1 { 0 } else { usize::from(self.counts[bits - 1]) };
            codes[bits] = (codes[bits - 1] + shorter) << 1;
            places[bits] = places[bits - 1] + shorter;
            if codes[bits] + usize::from(self.counts[bits]) > 1 << bits {
                return None;
            }
        }
        self.entries.resize(lengths.len(), Entry::NONE);
        for (symbol, &bits) in lengths.iter().enumerate().filter(|&(_, &bits)| bits > 0) {
            let bits = usize::from(bits);
            let entry = meaning(symbol).with_code(bits);
            self.entries[places[bits]] = entry;
            enter(codes[bits], bits, entry, table);
            places[bits] += 1;
            codes[bits] += 1;
        }
        Some(())
    }

    /// Bit by bit: codes of a length are consecutive numbers, so each step compares with a range.
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
        Entry::NONE
    }
}

/// Codes are sent from their most significant bit, so a table by the bits read holds them reversed.
fn enter(code: usize, bits: usize, entry: Entry, table: &mut [Entry]) {
    let reversed = code.reverse_bits() >> (usize::BITS as usize - bits);
    if 1 << bits > table.len() {
        table[reversed % table.len()] = Entry::LONG;
        return;
    }
    for place in table[reversed..].iter_mut().step_by(1 << bits) {
        *place = entry;
    }
}
