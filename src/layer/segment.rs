//! One segment of the stream, deflated so that another may follow.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::scan;

/// The level of libdeflate.
pub(super) const LEVEL: i32 = 5;

/// Deflates segments, each on its own: what came before has no influence, and so neither has the number of
/// threads.
pub(super) struct Deflater(Compressor);

impl Deflater {
    pub fn new() -> Deflater {
        Deflater(Compressor::new(CompressionLvl::new(LEVEL).expect("a level that libdeflate has")))
    }

    /// Replaces what is in `out` by the deflated `segment`: the end of a stream when it is the `last`, else
    /// whole bytes that the next segment's can follow.
    ///
    /// # Errors
    /// When the compressor's output is no deflate stream of the segment's size.
    pub fn deflate(&mut self, segment: &[u8], last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        out.resize(self.0.deflate_compress_bound(segment.len()), 0);
        let length = self.0.deflate_compress(segment, out).map_err(|_| io::Error::other(BROKEN))?;
        out.truncate(length);
        if last {
            return Ok(());
        }
        // libdeflate writes whole streams only. The last block's mark is cleared, and an empty stored block,
        // as zlib's sync flush writes it, leads to the next byte: three zero bits, zeros up to the byte, then
        // the length 0 and its complement. Its first bits are in the last byte when there is room for them.
        let tail =
            scan::tail(out).filter(|tail| tail.size == segment.len() && tail.end.div_ceil(8) == length);
        let tail = tail.ok_or_else(|| io::Error::other(BROKEN))?;
        out[tail.final_bit / 8] &= !(1 << (tail.final_bit % 8));
        if length * 8 - tail.end < 3 {
            out.push(0);
        }
        out.extend_from_slice(&[0, 0, 0xff, 0xff]);
        Ok(())
    }
}

const BROKEN: &str = "the compressor gave no valid deflate stream";

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
            ends[scan::tail(&out).unwrap().end % 8] = true;
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
