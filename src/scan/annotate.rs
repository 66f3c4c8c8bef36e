//! [`Annotate`]: looks into the content of files while a layer is scanned.

use std::fmt::Debug;
use std::io::{Read, Seek};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How many bytes an [`Annotate`] sees of a file's beginning.
pub const SHOWN: u64 = 1 << 20;

/// How much of a file an [`Annotate`] wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None of it.
    Nothing,
    /// The first [`SHOWN`] bytes at most.
    Beginning,
    /// All of it, to be read in place.
    Whole,
}

/// A file that is read in place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Looks into files of its choice while a layer is scanned, and states facts about them. Facts are kept on disk: they
/// must not contain anything secret.
pub trait Annotate: Send + Sync + 'static {
    /// A fact about the content of a file.
    type Fact: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Identifies this annotator, its settings and its version: scans are kept by it.
    fn name(&self) -> String;
    /// How much it wants to see of the file at this path of the image.
    fn wants(&self, path: &str) -> Wanted;
    /// The facts about a file whose beginning it wanted.
    fn facts(&self, path: &str, content: &[u8]) -> Vec<Self::Fact>;
    /// The facts about a file that it wanted as a whole.
    fn facts_of_whole(&self, _path: &str, _file: &mut dyn ReadSeek) -> Vec<Self::Fact> {
        Vec::new()
    }
}

/// Wants to see nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unread;

/// The fact of an annotator that states none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoFact {}

impl Annotate for Unread {
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
