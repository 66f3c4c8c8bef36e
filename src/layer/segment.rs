//! One segment of the stream, deflated so that another may follow.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::scan::{self, Tail};

/// The level of libdeflate.
pub(super) const LEVEL: i32 = 5;

/// Bytes of a part: what the compressor sees at once. Parts of twice the size deflate to 0.2 % less, but every
/// segment under way takes twice the memory.
pub(super) const PART: usize = 512 << 10;

/// Bytes of a segment: two parts, for [`scan`] follows two streams in the time of one.
pub(super) const SEGMENT: usize = 2 * PART;

/// Deflates segments, each part on its own: what came before has no influence, and so neither has the number
/// of threads.
pub(super) struct Deflater {
    compressor: Compressor,
    /// Room for the largest deflated part: made once, for the compressor wants it initialised.
    room: Vec<u8>,
}

impl Deflater {
    pub fn new() -> Deflater {
        let level = CompressionLvl::new(LEVEL).expect("a level that libdeflate has");
        Deflater { compressor: Compressor::new(level), room: Vec::new() }
    }

    /// Replaces what is in `out` by the deflated `segment`: the end of a stream when it is the `last`, else
    /// whole bytes that the next segment's can follow.
    ///
    /// # Errors
    /// When the compressor's output is no deflate stream of the segment's size.
    pub fn deflate(&mut self, segment: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        let (first, second) = segment.split_at(segment.len().min(PART));
        out.clear();
        self.append(first, out)?;
        if second.is_empty() {
            if !last {
                let tail = scan::tail(out).filter(|tail| tail.size == first.len()).ok_or_else(broken)?;
                open(&tail, 0, out);
            }
            return Ok(());
        }
        let middle = out.len();
        self.append(second, out)?;
        let streams = out.split_at(middle);
        let tails = scan::tails([streams.0, streams.1]).ok_or_else(broken)?;
        if [tails[0].size, tails[1].size] != [first.len(), second.len()] {
            return Err(broken());
        }
        if !last {
            open(&tails[1], middle, out);
        }
        let second = out.split_off(middle);
        open(&tails[0], 0, out);
        out.extend_from_slice(&second);
        Ok(())
    }

    fn append(&mut self, part: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let bound = self.compressor.deflate_compress_bound(part.len());
        if self.room.len() < bound {
            self.room.resize(bound, 0);
        }
        let length = self.compressor.deflate_compress(part, &mut self.room).map_err(|_| broken())?;
        out.extend_from_slice(&self.room[..length]);
        Ok(())
    }
}

/// Makes the whole stream that `out` holds from byte `begin` on one that another can follow.
///
/// libdeflate writes whole streams only. The last block's mark is cleared, and [`sync`] leads to the next byte.
fn open(tail: &Tail, begin: usize, out: &mut Vec<u8>) {
    out[begin + tail.final_bit / 8] &= !(1 << (tail.final_bit % 8));
    out.extend_from_slice(sync((out.len() - begin) * 8 - tail.end));
}

/// What leads from the end of a block to the next byte, behind a byte of which `spare` bits are left, all zero.
///
/// An empty stored block, as zlib's sync flush writes it: three zero bits, zeros up to the byte, then the length 0
/// and its complement. Its first bits are in the last byte when there is room for them.
pub(super) fn sync(spare: usize) -> &'static [u8] {
    const BLOCK: &[u8] = &[0, 0, 0, 0xff, 0xff];
    if spare < 3 { BLOCK } else { &BLOCK[1..] }
}

fn broken() -> io::Error {
    io::Error::other("the compressor gave no valid deflate stream")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;

    use super::*;

    #[test]
    fn joined_segments_are_one_stream() {
        let mut deflater = Deflater::new();
        let mut noise = 1u32;
        // sizes around libdeflate's own borders, content from zeros to noise, so that the end of the last
        // block falls on each bit of a byte and stored, fixed and dynamic blocks all come last
        let segments: Vec<Vec<u8>> = (0..300usize)
            .map(|n| {
                let byte = |_| {
                    noise = noise.wrapping_mul(1664525).wrapping_add(1013904223);
                    (noise >> 24) as u8 & (0xffu16 >> (n % 9)) as u8
                };
                (0..n * n % 40_000 + n / 100).map(byte).collect()
            })
            .collect();
        let (mut joined, mut out) = (Vec::new(), Vec::new());
        let mut ends = [false; 8];
        for segment in &segments {
            deflater.deflate(segment, true, &mut out).unwrap();
            ends[scan::tails([&out, &[3, 0]]).unwrap()[0].end % 8] = true;
            deflater.deflate(segment, false, &mut out).unwrap();
            joined.extend_from_slice(&out);
        }
        assert_eq!(ends, [true; 8], "the segments end on every bit of a byte");
        deflater.deflate(b"the end", true, &mut out).unwrap();
        joined.extend_from_slice(&out);

        let mut content = Vec::new();
        let mut decoder = DeflateDecoder::new(&joined[..]);
        decoder.read_to_end(&mut content).unwrap();
        assert_eq!(decoder.total_in(), joined.len() as u64);
        assert_eq!(content, [segments.concat(), b"the end".to_vec()].concat());
    }
}
