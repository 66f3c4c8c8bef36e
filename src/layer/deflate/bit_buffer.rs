//! Packs bits into bytes, from the least significant bit of each byte to the most significant one
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.1.1).

/// Output bytes, and the bits that do not fill a byte yet.
pub(super) struct BitBuffer<'a> {
    out: &'a mut [u8],
    /// Number of bytes written to `out`.
    written: usize,
    /// The bits that are not written yet (zlib's `bi_buf`).
    bits: u64,
    /// Number of bits in `bits` (zlib's `bi_valid`): at most 7 after [`flush`](BitBuffer::flush).
    valid: u32,
}

impl<'a> BitBuffer<'a> {
    /// Writes to `out`, which must be 8 bytes longer than the data to come: a flush stores 8 bytes.
    pub fn new(out: &'a mut [u8]) -> BitBuffer<'a> {
        BitBuffer { out, written: 0, bits: 0, valid: 0 }
    }

    /// Adds `count` bits. Between two calls of [`flush`](BitBuffer::flush) there is room for 56.
    #[inline(always)]
    pub fn push(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.valid;
        self.valid += count;
    }

    /// Writes the full bytes.
    #[inline(always)]
    pub fn flush(&mut self) {
        self.out[self.written..self.written + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.written += self.valid as usize / 8;
        self.bits >>= self.valid & !7;
        self.valid &= 7;
    }

    /// Pushes and flushes.
    pub fn put(&mut self, bits: u64, count: u32) {
        self.push(bits, count);
        self.flush();
    }

    /// Pads with zero bits to the next byte boundary.
    pub fn align(&mut self) {
        self.valid = self.valid.next_multiple_of(8);
        self.flush();
    }

    /// Copies whole bytes. The buffer must be [aligned](BitBuffer::align).
    pub fn copy(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.valid, 0);
        self.out[self.written..self.written + bytes.len()].copy_from_slice(bytes);
        self.written += bytes.len();
    }

    /// Number of unused bits in the last byte.
    pub fn unused_bits(&self) -> usize {
        (8 - self.valid as usize) % 8
    }

    /// The bytes written so far.
    pub fn written(&self) -> &[u8] {
        &self.out[..self.written]
    }
}
