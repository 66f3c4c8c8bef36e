//! Who looks into the files of a layer while it is read.

use super::ReadSeek;

/// How much of a file an [`Annotate`] is shown of its beginning.
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

/// Looks into files of its choice while a layer is read, and keeps short notes. Notes are kept on disk: nothing secret
/// may be in them.
pub trait Annotate: Sync {
    /// Tells this annotator from others, and from what it was before: what is kept of a layer is kept by it.
    fn name(&self) -> String;
    /// How much it wants to see of the file at this path of the image.
    fn wants(&self, path: &str) -> Wanted;
    /// What it notes of a file whose beginning it wanted.
    fn notes(&self, path: &str, content: &[u8]) -> Vec<String>;
    /// What it notes of a file that it wanted as a whole.
    fn notes_of_whole(&self, _path: &str, _file: &mut dyn ReadSeek) -> Vec<String> {
        Vec::new()
    }
}

/// Wants to see nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unread;

impl Annotate for Unread {
    fn name(&self) -> String {
        "unread".to_owned()
    }

    fn wants(&self, _: &str) -> Wanted {
        Wanted::Nothing
    }

    fn notes(&self, _: &str, _: &[u8]) -> Vec<String> {
        Vec::new()
    }
}
