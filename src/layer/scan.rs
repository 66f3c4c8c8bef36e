//! Where the last block of a deflate stream begins and ends.
//!
//! A deflate stream is a chain of blocks, and the last one says so in the first bit of its header
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.3). To let another stream follow, that bit must be
//! cleared; to find it, the codes must be followed from the start, for blocks do not tell their length. The
//! content itself is not needed, which spares most of the work of inflating.

use super::codes::{Codes, Entry, SYMBOLS};

/// What [`tails`] finds. Positions are in bits from the start of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The bit that marks the last block.
    pub final_bit: usize,
    /// The first bit after the last block.
    pub end: usize,
    /// How many bytes the stream inflates to.
    pub size: usize,
}

/// Follows the blocks of two streams, or `None` when one of them is anything but one whole deflate stream.
///
/// Each step must wait for the one before, so a processor follows two streams in little more time than one.
pub(super) fn tails(streams: [&[u8]; 2]) -> Option<[Tail; 2]> {
    let [first, second] = streams.map(Scan::new);
    let (mut first, mut second) = (first?, second?);
    while first.tail.is_none() && second.tail.is_none() {
        follow([&mut first, &mut second]);
        first.step()?;
        second.step()?;
    }
    for scan in [&mut first, &mut second] {
        while scan.tail.is_none() {
            follow([scan]);
            scan.step()?;
        }
    }
    first.tail.zip(second.tail).map(<[Tail; 2]>::from)
}

/// As [`tails`], for one stream.
pub(super) fn tail(stream: &[u8]) -> Option<Tail> {
    let mut scan = Scan::new(stream)?;
    while scan.tail.is_none() {
        follow([&mut scan]);
        scan.step()?;
    }
    scan.tail
}

/// Goes on in each stream, one step in turn, until one of them comes to something special or near its end.
fn follow<const N: usize>(scans: [&mut Scan; N]) {
    let mut places: [Place; N] = std::array::from_fn(|n| scans[n].place);
    'refill: while (0..N).all(|n| places[n].at() < scans[n].limit) {
        for n in 0..N {
            places[n].refill(scans[n].stream);
        }
        // a symbol takes 20 bits at most, a distance 28: of both together there are enough
        for _ in 0..2 {
            let entries: [Entry; N] = std::array::from_fn(|n| scans[n].codes.entry(places[n]));
            if entries.iter().any(|entry| entry.special()) {
                break 'refill;
            }
            for n in 0..N {
                places[n].advance(entries[n]);
            }
        }
    }
    for n in 0..N {
        scans[n].place = places[n];
    }
}

/// A stream that is being followed; its place is within a block of codes, unless its tail is found.
struct Scan<'a> {
    stream: &'a [u8],
    /// In bits.
    limit: usize,
    codes: Codes,
    place: Place,
    /// Of the block's header.
    final_bit: usize,
    last: bool,
    tail: Option<Tail>,
}

impl<'a> Scan<'a> {
    fn new(stream: &'a [u8]) -> Option<Scan<'a>> {
        let (limit, place) = (stream.len() * 8, Place::default());
        let mut scan =
            Scan { stream, limit, codes: Codes::new(), place, final_bit: 0, last: false, tail: None };
        scan.headers(Reader { stream, at: 0 })?;
        Some(scan)
    }

    /// One step whatever comes, unless the tail is found: then none.
    fn step(&mut self) -> Option<()> {
        if self.tail.is_some() {
            return Some(());
        }
        self.place.refill(self.stream);
        let entry = self.codes.whole_entry(self.place)?;
        self.place.advance(entry);
        let at = self.place.at();
        if entry.special() {
            self.headers(Reader { stream: self.stream, at })
        } else {
            (at < self.limit).then_some(())
        }
    }

    /// From between two blocks to the codes of the next, or to the end.
    fn headers(&mut self, mut reader: Reader) -> Option<()> {
        while !self.last {
            self.final_bit = reader.at;
            self.last = reader.take(1)? == 1;
            match reader.take(2)? {
                0 => {
                    self.place.size += reader.stored()?;
                    continue;
                }
                1 => self.codes.fixed()?,
                2 => self.codes.dynamic(&mut reader)?,
                _ => return None,
            }
            self.place.seek(reader);
            return Some(());
        }
        let tail = Tail { final_bit: self.final_bit, end: reader.at, size: self.place.size };
        self.tail = Some(tail);
        (reader.at.div_ceil(8) == self.stream.len()).then_some(())
    }
}

/// Where a scan is in its stream.
///
/// Of `bits`, `left` have come from the bytes before `next`; what stands above them is right, too, but is
/// counted later. So the next bytes can be fetched before it is known how many are needed.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub bits: u64,
    left: usize,
    next: usize,
    /// The table in which the next code stands.
    pub table: usize,
    /// Bytes that the stream inflates to, up to here.
    size: usize,
}

impl Place {
    /// In bits.
    #[inline(always)]
    fn at(&self) -> usize {
        self.next * 8 - self.left
    }

    /// To the symbol that `reader` is at.
    fn seek(&mut self, reader: Reader) {
        self.bits = reader.peek();
        self.left = 56 - reader.at % 8;
        self.next = reader.at / 8 + 7;
        self.table = SYMBOLS;
    }

    /// Makes at least 56 bits be there.
    #[inline(always)]
    fn refill(&mut self, stream: &[u8]) {
        self.bits |= eight(stream, self.next) << self.left;
        self.next += (63 - self.left) / 8;
        self.left |= 56;
    }

    /// Whether a literal or a length comes next is what a processor predicts worst, so nothing branches on it:
    /// an entry says how far to go on and in which table.
    #[inline(always)]
    fn advance(&mut self, entry: Entry) {
        self.size += entry.size(self.bits);
        self.bits >>= entry.total();
        self.left -= entry.total();
        self.table = entry.next();
    }
}

/// Eight bytes; zeros after the end.
#[inline(always)]
fn eight(stream: &[u8], from: usize) -> u64 {
    #[cold]
    fn end(stream: &[u8], from: usize) -> u64 {
        let rest = stream.get(from..).unwrap_or_default();
        let mut eight = [0; 8];
        eight[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(eight)
    }
    match stream.get(from..from + 8) {
        Some(eight) => u64::from_le_bytes(eight.try_into().expect("eight bytes")),
        None => end(stream, from),
    }
}

/// Reads what is not codes.
pub(super) struct Reader<'a> {
    stream: &'a [u8],
    /// In bits.
    at: usize,
}

impl Reader<'_> {
    /// At least 57 bits from here on.
    pub fn peek(&self) -> u64 {
        eight(self.stream, self.at / 8) >> (self.at % 8)
    }

    pub fn take(&mut self, bits: usize) -> Option<usize> {
        let value = self.peek() & ((1 << bits) - 1);
        self.at += bits;
        (self.at <= self.stream.len() * 8).then_some(value as usize)
    }

    /// Goes over a stored block, after its header, and returns how many bytes it holds.
    fn stored(&mut self) -> Option<usize> {
        self.at = self.at.next_multiple_of(8);
        let length = self.take(16)?;
        let complement = self.take(16)?;
        self.at += length * 8;
        (length ^ complement == 0xffff && self.at <= self.stream.len() * 8).then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::DeflateEncoder};
    use proptest::prelude::*;

    use super::*;

    /// Both ways to find it agree.
    fn tail(stream: &[u8]) -> Option<Tail> {
        let other = [0, 0, 0, 0xff, 0xff, 3, 0];
        let both = tails([stream, &other]);
        assert_eq!(super::tail(stream).as_ref(), both.as_ref().map(|[tail, _]| tail));
        let [tail, other] = both?;
        assert_eq!(other, Tail { final_bit: 40, end: 50, size: 0 });
        Some(tail)
    }

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
