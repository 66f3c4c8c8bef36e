//! A tar that is there already, uncompressed or in another form, made a gzip layer like all others.

use std::io::{self, BufRead, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::write::{LayerWriter, WriteOptions, Written};
use crate::error::{Error, Result};

/// Writes the tar that `tar` yields to `out` as one gzip member; the tar stays as it is, so its digest is the
/// diff id that it always had, and `epoch` has no part in it. [`Written::files`] is empty.
///
/// # Errors
/// [`Error::LayerRead`] when `tar` fails, [`Error::LayerWrite`] when `out` does, [`Error::Interrupted`] when
/// the caller asked for it.
pub fn recompress(mut tar: impl Read, options: &WriteOptions<'_>, out: &mut impl Write) -> Result<Written> {
    let mut layer = LayerWriter::new(options, out)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match tar.read(&mut buffer) {
            Ok(0) => return layer.finish(Vec::new()),
            Ok(read) => layer.put(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::LayerRead { source }),
        }
    }
}

/// The largest window that [`zstd`] gives memory to: what zstd's own tools accept unless told otherwise, and
/// what its highest level uses.
const MAX_WINDOW: u64 = 128 << 20;

/// Decompresses zstd: any number of frames, as seekable layers have them, with skippable ones between.
/// It takes little more memory than the window that a frame asks for, and refuses one of more than 128 MiB.
pub fn zstd(compressed: impl BufRead) -> impl Read {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    Zstd { compressed, decoder, within: false }
}

struct Zstd<R> {
    compressed: R,
    decoder: FrameDecoder,
    /// A frame is begun and not yet checked.
    within: bool,
}

impl<R: BufRead> Zstd<R> {
    /// Reads the header of the next frame that has content; false at the end of the input.
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
                "a zstd frame has another checksum than its content",
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
