//! Writing bits: from the lowest of a byte to the highest, and codes from their first bit on
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.1.1).

/// Bits behind whole bytes, in room that is made beforehand.
pub(super) struct Bits<'a> {
    room: &'a mut [u8],
    /// Whole bytes that are written.
    whole: usize,
    /// What is not written yet: `count` bits, at most 7 after [`flush`](Bits::flush).
    bits: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// What is written to `room`, which is to be longer by 8 bytes than what comes.
    pub fn new(room: &'a mut [u8]) -> Bits<'a> {
        Bits { room, whole: 0, bits: 0, count: 0 }
    }

    /// Adds `count` bits; there is room for 56 between two calls of [`flush`](Bits::flush).
    #[inline(always)]
    pub fn add(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
    }

    #[inline(always)]
    pub fn flush(&mut self) {
        self.room[self.whole..self.whole + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.whole += self.count as usize / 8;
        self.bits >>= self.count & !7;
        self.count &= 7;
    }

    /// Adds and flushes.
    pub fn put(&mut self, bits: u64, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// Zeros up to the next byte.
    pub fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Whole bytes; only where a byte begins.
    pub fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.room[self.whole..self.whole + bytes.len()].copy_from_slice(bytes);
        self.whole += bytes.len();
    }

    /// How many bits are free in the last byte.
    pub fn spare(&self) -> usize {
        (8 - self.count as usize) % 8
    }

    /// The whole bytes so far.
    pub fn written(&self) -> &[u8] {
        &self.room[..self.whole]
    }
}
