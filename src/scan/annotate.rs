//! [`Annotate`]: inspects the content of files while a layer is scanned.

use std::fmt::Debug;
use std::io::{Read, Seek};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::tree::Member;

/// Upper bound on the bytes of a file's beginning that are passed to an [`Annotate`].
pub const BEGINNING_LIMIT: u64 = 1 << 20;

/// The part of a file that is passed to an [`Annotate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No part.
    Nothing,
    /// At most the first [`BEGINNING_LIMIT`] bytes.
    Beginning,
    /// The whole file, to be read in place.
    Whole,
}

/// A file that is read in place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Inspects files of its choice while a layer is scanned, and returns facts about them. Facts are kept on disk, and
/// must not contain secrets.
pub trait Annotate: Send + Sync + 'static {
    /// A fact about the content of a file.
    type Fact: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Identifies this annotator, its settings and its version; part of the cache key of a scan.
    fn name(&self) -> String;
    /// The part to read of the file at this path of the image.
    fn wants(&self, path: &str) -> Wanted;
    /// The facts about a file with [`Wanted::Beginning`].
    fn facts(&self, path: &str, content: &[u8]) -> Vec<Self::Fact>;
    /// The memory in bytes that work with the scans takes for a member, besides the scans; `is_code` tells whether it
    /// was recognized as code. It counts against their [`MemoryBudget`](super::MemoryBudget). The default is enough for
    /// a [`View`](crate::tree::View) and a sorted list.
    fn memory_beside<C>(&self, _member: &Member<C>, _is_code: bool) -> usize
    where
        Self: Sized,
    {
        64
    }
    /// The facts about a file with [`Wanted::Whole`].
    fn facts_of_whole(&self, _path: &str, _file: &mut dyn ReadSeek) -> Vec<Self::Fact> {
        Vec::new()
    }
}

/// An annotator that does not read files.
#[derive(Clone, Copy, Debug)]
pub struct NoAnnotator;

/// The fact of an annotator without facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoFact {}

impl Annotate for NoAnnotator {
    type Fact = NoFact;

    fn name(&self) -> String {
        "unread".to_owned()
    }

    fn wants(&self, _: &str) -> Wanted {
        Wanted::Nothing
    }

    fn facts(&self, _: &str, _: &[u8]) -> Vec<NoFact> {
        Vec::new()
    }
}
