//! Decompresses a layer, and counts and hashes its tar.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::image::{Compression, Digest};
use crate::layer::recompress::{Zstd, too_large, zstd};

enum Decoder<R: BufRead> {
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Box<Zstd<R>>),
    None(R),
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(gzip) => gzip.read(out),
            Decoder::Zstd(zstd) => zstd.read(out),
            Decoder::None(plain) => plain.read(out),
        }
    }
}

/// Reads the tar of a layer, up to a limit.
pub(crate) struct Decoded<R: BufRead> {
    from: Decoder<R>,
    hash: Sha256,
    size: u64,
    limit: u64,
    /// The bytes that were read, if they are wanted.
    recorded: Option<Vec<u8>>,
}

impl<R: BufRead> Decoded<R> {
    /// Reads a layer with this compression, of at most `limit` uncompressed bytes.
    pub(crate) fn new(layer: R, compression: Compression, limit: u64) -> Decoded<R> {
        let from = match compression {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(layer))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd(layer))),
            Compression::None => Decoder::None(layer),
        };
        Decoded { from, hash: Sha256::new(), size: 0, limit, recorded: None }
    }

    /// Records the bytes that are read from now on, or no longer does.
    pub(super) fn record(&mut self, on: bool) {
        self.recorded = on.then(Vec::new);
    }

    /// The recorded bytes that were not passed on.
    pub(super) fn recorded(&self) -> &[u8] {
        self.recorded.as_deref().unwrap_or_default()
    }

    /// Passes on the recorded bytes, and forgets them.
    pub(super) fn pass_on<E>(
        &mut self,
        each: &mut impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let Some(recorded) = &mut self.recorded else { return Ok(()) };
        each(recorded)?;
        recorded.clear();
        Ok(())
    }

    /// The number of bytes of the tar read so far.
    pub(super) fn position(&self) -> u64 {
        self.size
    }

    /// The number of bytes that the decoder holds for its window, if they are more than some kilobytes.
    pub(super) fn window(&self) -> u64 {
        match &self.from {
            Decoder::Zstd(zstd) => zstd.window(),
            Decoder::Gzip(_) | Decoder::None(_) => 0,
        }
    }

    /// The maximum number of bytes that may be read.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The digest and the size of the bytes read.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.hash.finalize().into()), self.size)
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(out)?;
        self.hash.update(&out[..read]);
        self.size += read as u64;
        if let Some(recorded) = &mut self.recorded {
            recorded.extend_from_slice(&out[..read]);
        }
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(read)
    }
}
