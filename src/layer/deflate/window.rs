//! A segment of the stream, after the dictionary that its matches may refer to.

use super::symbols::WINDOW_SIZE;

/// Bytes of a segment: a dictionary and a segment fill the buffer.
pub(super) const SEGMENT_SIZE: usize = BUFFER_SIZE - WINDOW_SIZE;

/// A power of two, so that a mask can replace a bounds check.
const BUFFER_SIZE: usize = 1 << 20;

/// Bytes after the buffer, so that eight bytes can be loaded at any position.
const PADDING: usize = 8;

/// The buffer: up to [`WINDOW_SIZE`] bytes of dictionary, then up to [`SEGMENT_SIZE`] bytes of segment.
pub(super) struct Window {
    bytes: Box<[u8; BUFFER_SIZE + PADDING]>,
    segment_start: usize,
    end: usize,
}

impl Window {
    /// An empty segment without a dictionary. The system provides memory only for the pages that are written to, so a
    /// short stream uses little memory.
    pub fn new() -> Window {
        let bytes = vec![0; BUFFER_SIZE + PADDING].into_boxed_slice().try_into().expect("its length");
        Window { bytes, segment_start: 0, end: 0 }
    }

    /// Starts a segment without a dictionary.
    pub fn clear(&mut self) {
        (self.segment_start, self.end) = (0, 0);
    }

    /// Starts a segment whose dictionary is the end of `previous`.
    pub fn follow(&mut self, previous: &Window) {
        let length = previous.end.min(WINDOW_SIZE);
        self.bytes[..length].copy_from_slice(&previous.bytes[previous.end - length..previous.end]);
        (self.segment_start, self.end) = (length, length);
    }

    /// Appends to the segment as much of `bytes` as fits, and returns the number of bytes appended.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.len().min(SEGMENT_SIZE - self.segment_length());
        self.bytes[self.end..self.end + length].copy_from_slice(&bytes[..length]);
        self.end += length;
        length
    }

    /// The position of the segment's first byte: the length of the dictionary.
    pub fn segment_start(&self) -> usize {
        self.segment_start
    }

    /// The position after the segment's last byte.
    pub fn end(&self) -> usize {
        self.end
    }

    pub fn segment_length(&self) -> usize {
        self.end - self.segment_start
    }

    pub fn is_empty(&self) -> bool {
        self.segment_length() == 0
    }

    pub fn is_full(&self) -> bool {
        self.segment_length() == SEGMENT_SIZE
    }

    /// The dictionary and the segment.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Four bytes as a number. The value of bytes after the end is not specified.
    #[inline(always)]
    pub fn load4(&self, position: usize) -> u32 {
        let position = position % BUFFER_SIZE;
        u32::from_le_bytes(self.bytes[position..position + 4].try_into().expect("four bytes"))
    }

    #[inline(always)]
    fn load8(&self, position: usize) -> u64 {
        let position = position % BUFFER_SIZE;
        u64::from_le_bytes(self.bytes[position..position + 8].try_into().expect("eight bytes"))
    }

    /// Whether the three bytes at both positions are equal.
    #[inline(always)]
    pub fn equal3(&self, first: usize, second: usize) -> bool {
        (self.load4(first) ^ self.load4(second)) << 8 == 0
    }

    /// Number of equal bytes from both positions on, at most `max`. The first four must be equal.
    #[inline(always)]
    pub fn match_length(&self, first: usize, second: usize, max: usize) -> usize {
        let mut length = 4;
        while length < max {
            let difference = self.load8(first + length) ^ self.load8(second + length);
            if difference != 0 {
                return max.min(length + difference.trailing_zeros() as usize / 8);
            }
            length += 8;
        }
        max
    }
}
