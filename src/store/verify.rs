//! Verification of bytes against digest and size while they stream, in both directions.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest as _, Sha256};

use super::stream::ByteStream;
use crate::error::{Error, Result};
use crate::image::Digest;

/// The origin of the bytes, for the error.
pub(crate) enum Origin {
    /// A registry: bytes that were damaged in transfer may arrive undamaged in the next attempt.
    Remote(String),
    /// A file, which stays damaged.
    File(PathBuf),
}

/// The verified bytes of `input`: the stream fails unless they are `size` bytes with the digest `digest`.
///
/// The last piece is passed on only after the check, so a receiver that expects `size` bytes never gets a complete
/// wrong blob.
pub(crate) fn verified(input: ByteStream, origin: Origin, digest: Digest, size: u64) -> ByteStream {
    let state = Verification { input, origin, digest, size, hash: Some(Sha256::new()), seen: 0 };
    Box::pin(stream::unfold(state, |mut state| async {
        let item = state.next().await?;
        Some((item, state))
    }))
}

struct Verification {
    input: ByteStream,
    origin: Origin,
    digest: Digest,
    size: u64,
    /// `None` after the check.
    hash: Option<Sha256>,
    seen: u64,
}

impl Verification {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        match self.input.next().await {
            Some(Ok(piece)) => {
                let Some(hash) = &mut self.hash else {
                    // An empty piece may follow; any further byte is a fault.
                    return (!piece.is_empty()).then(|| Err(self.mismatch(Digest::of(&piece), piece.len())));
                };
                hash.update(&piece);
                self.seen += piece.len() as u64;
                if self.seen < self.size {
                    return Some(Ok(piece));
                }
                Some(self.verdict().map(|()| piece))
            }
            Some(Err(error)) => {
                self.hash = None;
                Some(Err(error))
            }
            None => match self.verdict() {
                Ok(()) => None,
                Err(error) => Some(Err(error)),
            },
        }
    }

    fn verdict(&mut self) -> Result<()> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let got = Digest::from_bytes(hash.finalize().into());
        if got == self.digest && self.seen == self.size { Ok(()) } else { Err(self.mismatch(got, 0)) }
    }

    fn mismatch(&self, got: Digest, more: usize) -> Error {
        let (expected, size, got_size) = (self.digest, self.size, self.seen + more as u64);
        match &self.origin {
            Origin::Remote(what) => Error::Corrupt { what: what.clone(), expected, size, got, got_size },
            Origin::File(path) => Error::CorruptFile { path: path.clone(), expected, got },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(pieces: &[&'static str], expected: &str) -> (String, Result<()>) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        let input: ByteStream = Box::pin(stream::iter(pieces));
        let digest = Digest::of(expected.as_bytes());
        let mut output = verified(input, Origin::Remote("blob".into()), digest, expected.len() as u64);
        let mut text = String::new();
        while let Some(piece) = output.next().await {
            match piece {
                Ok(piece) => text.push_str(std::str::from_utf8(&piece).unwrap()),
                Err(error) => return (text, Err(error)),
            }
        }
        (text, Ok(()))
    }

    #[tokio::test]
    async fn correct_bytes_pass_completely() {
        for (pieces, whole) in
            [(&["ab", "", "cd"][..], "abcd"), (&["abcd", ""], "abcd"), (&[], ""), (&[""], "")]
        {
            let (text, result) = run(pieces, whole).await;
            assert!(result.is_ok() && text == whole);
        }
    }

    #[tokio::test]
    async fn wrong_bytes_fail_before_the_last_piece_is_passed_on() {
        for pieces in [&["ab", "cX"][..], &["ab", "cde"], &["ab", "c"], &["abXd", ""], &[]] {
            let (text, result) = run(pieces, "abcd").await;
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{pieces:?}");
            assert!(text.len() < 4, "{pieces:?} gave out {text}");
        }
        let (_, result) = run(&["abcd", "e"], "abcd").await;
        assert!(matches!(result, Err(Error::Corrupt { got_size: 5, .. })));
    }
}
