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
    Zstd { compressed, decoder, within: false }
}

/// The reader of [`zstd`].
pub struct Zstd<R> {
    compressed: R,
    decoder: FrameDecoder,
    /// Whether a frame has begun and its checksum is not checked yet.
    within: bool,
}

impl<R: BufRead> Zstd<R> {
    /// Reads the header of the next frame with content; false at the end of the input.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.compressed.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.compressed) {
                Ok(()) => return Ok(true),
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
