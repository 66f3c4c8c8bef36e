//! A segment, with what stands before it.

use super::symbols::REACH;

/// Bytes of a segment: with what stands before it, they fill a power of two.
pub(in super::super) const SEGMENT: usize = SIZE - REACH;

const SIZE: usize = 1 << 20;

/// The bytes, and as many as are read at once: an index below [`SIZE`] needs no check.
pub(in super::super) struct Window {
    bytes: Box<[u8; SIZE + 8]>,
    begin: usize,
    end: usize,
}

impl Window {
    /// The memory is the system's until it is written to, so a small stream has no large one's cost.
    pub fn new() -> Window {
        let bytes = vec![0; SIZE + 8].into_boxed_slice().try_into().expect("its length");
        Window { bytes, begin: 0, end: 0 }
    }

    /// Empties it, for a segment before which nothing stands.
    pub fn clear(&mut self) {
        (self.begin, self.end) = (0, 0);
    }

    /// Empties it, for the segment behind that of `before`.
    pub fn follow(&mut self, before: &Window) {
        let reach = before.end.min(REACH);
        self.bytes[..reach].copy_from_slice(&before.bytes[before.end - reach..before.end]);
        (self.begin, self.end) = (reach, reach);
    }

    /// Takes what there is room for, and tells how much that is.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(SEGMENT - (self.end - self.begin));
        self.bytes[self.end..self.end + taken].copy_from_slice(&bytes[..taken]);
        self.end += taken;
        taken
    }

    pub fn begin(&self) -> usize {
        self.begin
    }

    pub fn end(&self) -> usize {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.end == self.begin
    }

    pub fn is_full(&self) -> bool {
        self.end - self.begin == SEGMENT
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Four bytes as a number. What stands behind the end is anything.
    #[inline(always)]
    pub fn four(&self, at: usize) -> u32 {
        let at = at % SIZE;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    #[inline(always)]
    fn eight(&self, at: usize) -> u64 {
        let at = at % SIZE;
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    #[inline(always)]
    pub fn same_three(&self, first: usize, second: usize) -> bool {
        (self.four(first) ^ self.four(second)) << 8 == 0
    }

    /// How many bytes are the same from `first` and `second` on, at most `most`. The first four are known to be.
    #[inline(always)]
    pub fn common(&self, first: usize, second: usize, most: usize) -> usize {
        let mut length = 4;
        while length < most {
            let different = self.eight(first + length) ^ self.eight(second + length);
            if different != 0 {
                return most.min(length + different.trailing_zeros() as usize / 8);
            }
            length += 8;
        }
        most
    }
}
