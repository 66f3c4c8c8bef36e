//! Recompresses an existing tar, uncompressed or zstd, to a gzip layer.

use std::io::{self, BufRead, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::layer_writer::{LayerWriter, WriteOptions, Written};
use crate::error::{Error, Result};

/// The maximum uncompressed size of a layer, in bytes: twice Lambda's limit for a whole image.
pub const MAX_LAYER: u64 = 20_000_000_000;

/// The error for a layer that exceeds `limit` bytes.
pub(super) fn too_large(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"))
}

/// Writes `tar` to `out` as one gzip member. The tar is not changed, so its diff id stays the same, and `epoch` is not
/// used. [`Written::files`] is empty.
///
/// # Errors
/// [`Error::LayerRead`] when `tar` fails, [`Error::LayerWrite`] when `out` fails, [`Error::Interrupted`] when the
/// progress hook returns `Break`.
pub fn recompress(mut tar: impl Read, options: &WriteOptions<'_>, out: &mut impl Write) -> Result<Written> {
    let mut layer = LayerWriter::new(options, out)?;
    let (mut buffer, mut size) = (vec![0; 128 << 10], 0);
    loop {
        match tar.read(&mut buffer) {
            Ok(0) => return layer.finish(Vec::new()),
            Ok(read) => {
                size += read as u64;
                if size > MAX_LAYER {
                    return Err(Error::LayerRead { source: too_large(MAX_LAYER) });
                }
                layer.put(&buffer[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::LayerRead { source }),
        }
    }
}

/// The maximum window of [`zstd`], in bytes: the default limit of zstd's own tools, and the window of its highest
/// level.
const MAX_WINDOW: u64 = 128 << 20;

/// Decompresses zstd: any number of frames, as in seekable layers, with skippable frames between them. It uses little
/// more memory than a frame's window, and refuses a window of more than 128 MiB.
pub fn zstd<R: BufRead>(compressed: R) -> Zstd<R> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    Zstd { compressed, decoder, within: false, window: 0 }
}

/// The reader of [`zstd`].
pub struct Zstd<R> {
    compressed: R,
    decoder: FrameDecoder,
    /// Whether a frame has begun and its checksum is not checked yet.
    within: bool,
    window: u64,
}

impl<R: BufRead> Zstd<R> {
    /// The largest window of the frames so far, in bytes; the decoder holds that many bytes.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Reads the header of the next frame with content; false at the end of the input.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.compressed.fill_buf()?.is_empty() {
            let mut header = FrameHeader { from: &mut self.compressed, bytes: [0; HEADER], length: 0 };
            match self.decoder.init(&mut header) {
                Ok(()) => {
                    self.window = self.window.max(header.window());
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.compressed).take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }

    fn check(&self) -> io::Result<()> {
        let sent = self.decoder.get_checksum_from_data();
        if sent.is_some() && sent != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the checksum of a zstd frame does not match its content",
            ));
        }
        Ok(())
    }
}

/// The bytes of a frame's header, with its magic number, that tell the window: the longest has a dictionary's id of 4
/// bytes and a size of 8.
const HEADER: usize = 17;

/// Records the beginning of a frame's header, because the decoder does not tell the window.
///
/// <https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1.1>
struct FrameHeader<'r, R> {
    from: &'r mut R,
    bytes: [u8; HEADER],
    length: usize,
}

impl<R: Read> Read for FrameHeader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(out)?;
        let room = &mut self.bytes[self.length..];
        let kept = read.min(room.len());
        room[..kept].copy_from_slice(&out[..kept]);
        self.length += kept;
        Ok(read)
    }
}

impl<R> FrameHeader<'_, R> {
    /// The window of a complete header, in bytes.
    fn window(&self) -> u64 {
        let [_, _, _, _, descriptor, rest @ ..] = self.bytes;
        let is_single_segment = descriptor & 0x20 != 0;
        if !is_single_segment {
            let (exponent, mantissa) = (rest[0] >> 3, u64::from(rest[0] & 7));
            let base = 1 << (10 + exponent);
            return base + base / 8 * mantissa;
        }
        // The window is the content, whose size follows the id of a dictionary.
        let start = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let mut size = [0; 8];
        let (length, least) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
        let field = rest[start..].iter().take(length);
        size.iter_mut().zip(field).for_each(|(byte, field)| *byte = *field);
        u64::from_le_bytes(size).saturating_add(least)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.within || self.begin()? {
            self.within = true;
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(out);
            }
            if self.decoder.is_finished() {
                self.check()?;
                self.within = false;
            } else {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.compressed, one);
                decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use flate2::read::GzDecoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;
    use crate::image::Digest;

    fn options(jobs: usize) -> WriteOptions<'static> {
        WriteOptions { epoch: 0, jobs, progress: &|_| ControlFlow::Continue(()) }
    }

    fn frame(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    fn unzstd(compressed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        zstd(compressed).read_to_end(&mut content).map(|_| content)
    }

    fn sample() -> Vec<u8> {
        (0..700_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn the_tar_is_not_changed() {
        let tar = sample();
        let mut out = Vec::new();
        let written = recompress(&tar[..], &options(2), &mut out).unwrap();
        let mut content = Vec::new();
        GzDecoder::new(&out[..]).read_to_end(&mut content).unwrap();
        assert!(content == tar);
        assert_eq!((written.diff_id, written.uncompressed), (Digest::of(&tar), tar.len() as u64));
        assert_eq!((written.digest, written.size), (Digest::of(&out), out.len() as u64));

        let compressed = frame(&tar);
        assert_eq!(recompress(zstd(&compressed[..]), &options(1), &mut io::sink()).unwrap(), written);
    }

    #[test]
    fn frames_are_joined_and_skippable_frames_left_out() {
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
        let tar = sample();
        let (first, second) = tar.split_at(1_000_001);
        let all =
            [skipped.clone(), frame(first), skipped.clone(), frame(b""), frame(second), skipped].concat();
        assert!(unzstd(&all).unwrap() == tar);
        assert_eq!(unzstd(b"").unwrap(), b"");
    }

    #[test]
    fn a_window_above_the_limit_is_refused() {
        let frame = |window| [0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
        assert_eq!(unzstd(&frame(17 << 3)).unwrap(), b"", "128 MiB");
        for window in [17 << 3 | 1, 18 << 3, 31 << 3 | 7] {
            let error = unzstd(&frame(window)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn the_window_of_a_frame_is_known() {
        let window = |header: &[u8]| {
            let mut bytes = [0; HEADER];
            bytes[4..4 + header.len()].copy_from_slice(header);
            FrameHeader { from: &mut io::empty(), bytes, length: HEADER }.window()
        };
        for (header, expected) in [
            (&[0, 17 << 3][..], 128 << 20),
            (&[0, 1], 1024 + 128),
            (&[0x20, 200], 200),
            (&[0x61, 9, 1, 1], 256 + 257),
            (&[0xa0, 0, 0, 0, 1], 1 << 24),
            (&[0xe3, 9, 9, 9, 9, 1, 2, 0, 0, 0, 0, 0], 513),
        ] {
            assert_eq!(window(header), expected, "{header:x?}");
        }
        let whole = frame(&sample());
        let mut reader = zstd(&whole[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert!((1024..=MAX_WINDOW).contains(&reader.window()), "{}", reader.window());
    }

    #[test]
    fn broken_input_is_an_error() {
        let whole = frame(&sample());
        for cut in [1, 5, whole.len() / 2, whole.len() - 1] {
            unzstd(&whole[..cut]).unwrap_err();
        }
        let mut wrong = whole.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(unzstd(&wrong).unwrap_err().kind(), io::ErrorKind::InvalidData, "the checksum");
        unzstd(&[whole.clone(), b"more".to_vec()].concat()).unwrap_err();
        unzstd(&[0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]).unwrap_err();

        let error = recompress(zstd(&whole[..whole.len() / 2]), &options(2), &mut io::sink()).unwrap_err();
        assert!(matches!(error, Error::LayerRead { .. }), "{error}");
    }
}
