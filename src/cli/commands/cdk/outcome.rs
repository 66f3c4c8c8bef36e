//! The result for one image.

use lbuild::image::{Digest, Reference};

use crate::cli::lower::cdk::Asset;

/// An image in its repository.
pub struct Done<'d> {
    pub asset: &'d Asset,
    /// Its name, with the tag.
    pub name: &'d Reference,
    pub digest: Digest,
    pub outcome: Outcome,
}

/// How it came there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was there.
    Present,
    /// It was pushed.
    Sent,
    /// It would be pushed, but for `--dry-run`.
    WouldSend,
}

impl Outcome {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Present => "present",
            Outcome::Sent => "sent",
            Outcome::WouldSend => "would-send",
        }
    }
}
