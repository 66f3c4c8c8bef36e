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

/// Upper bound on the bytes that are read beyond the expected size, to tell a wrong size from damage.
const EXCESS: u64 = 1 << 30;

/// The verified bytes of `input`: the stream fails unless they have the digest `digest`, and `size` bytes. `None`
/// accepts any size.
///
/// The last piece is passed on only after the check, so a receiver that expects `size` bytes never gets a complete
/// wrong blob. Without a size, a receiver must read to the end of the stream.
pub(crate) fn verified(input: ByteStream, origin: Origin, digest: Digest, size: Option<u64>) -> ByteStream {
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
    size: Option<u64>,
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
                match self.size {
                    Some(size) if self.seen >= size => Some(self.last(size).await.map(|()| piece)),
                    _ => Some(Ok(piece)),
                }
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

    /// Checks the bytes when there are as many as expected. If they do not have the digest yet, the rest is read too.
    async fn last(&mut self, size: u64) -> Result<()> {
        let so_far = self.hash.clone().map(|hash| Digest::from_bytes(hash.finalize().into()));
        if self.seen == size && so_far == Some(self.digest) {
            self.hash = None;
            return Ok(());
        }
        while self.seen - size < EXCESS
            && let Some(piece) = self.input.next().await
        {
            let piece = piece?;
            self.seen += piece.len() as u64;
            if let Some(hash) = &mut self.hash {
                hash.update(&piece);
            }
        }
        self.verdict()
    }

    fn verdict(&mut self) -> Result<()> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let got = Digest::from_bytes(hash.finalize().into());
        match self.size {
            _ if got != self.digest => Err(self.mismatch(got, 0)),
            Some(expected) if expected != self.seen => {
                let what = match &self.origin {
                    Origin::Remote(what) => what.clone(),
                    Origin::File(path) => path.display().to_string(),
                };
                Err(Error::BlobSize { what, expected, got: self.seen })
            }
            _ => Ok(()),
        }
    }

    fn mismatch(&self, got: Digest, more: usize) -> Error {
        let (expected, got_size) = (self.digest, self.seen + more as u64);
        match &self.origin {
            Origin::Remote(what) => {
                let size = self.size.unwrap_or(got_size);
                Error::Corrupt { what: what.clone(), expected, size, got, got_size }
            }
            Origin::File(path) => Error::CorruptFile { path: path.clone(), expected, got },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(pieces: &[&'static str], expected: &str) -> (String, Result<()>) {
        run_sized(pieces, expected, Some(expected.len() as u64)).await
    }

    async fn run_sized(pieces: &[&'static str], expected: &str, size: Option<u64>) -> (String, Result<()>) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        let input: ByteStream = Box::pin(stream::iter(pieces));
        let digest = Digest::of(expected.as_bytes());
        let mut output = verified(input, Origin::Remote("blob".into()), digest, size);
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

    #[tokio::test]
    async fn a_wrong_size_differs_from_damage() {
        for (pieces, size) in
            [(&["ab", "cd"][..], 1), (&["ab", "cd"], 2), (&["ab", "cd"], 3), (&["abcd", ""], 5), (&[], 1)]
        {
            let whole = pieces.concat();
            let (text, result) = run_sized(pieces, &whole, Some(size)).await;
            let got = whole.len() as u64;
            assert!(
                matches!(result, Err(Error::BlobSize { expected, got: seen, .. }) if (expected, seen) == (size, got)),
                "{pieces:?} {size}: {result:?}"
            );
            assert!(text.len() < size as usize, "{pieces:?} {size} gave out {text}");
            let (_, result) = run_sized(pieces, "other", Some(size)).await;
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{pieces:?} {size}");
        }
    }

    #[tokio::test]
    async fn without_a_size_only_the_digest_is_checked() {
        for pieces in [&["ab", "", "cd"][..], &["abcd"], &[]] {
            let whole = pieces.concat();
            let (text, result) = run_sized(pieces, &whole, None).await;
            assert!(result.is_ok() && text == whole);
            let (_, result) = run_sized(pieces, "other", None).await;
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{pieces:?}");
        }
    }
}
