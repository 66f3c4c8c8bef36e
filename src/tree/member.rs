//! An entry at its place in a layer's archive.

use serde::{Deserialize, Serialize};

use super::{Entry, ImagePath};

/// A member of a layer, in the order of its archive: an entry and its path. `C` is what is known of a file's content.
///
/// The marker of an opaque directory is a member of its own, with the directory's path and the kind
/// [`Opaque`](super::EntryKind::Opaque); its mode and owner are the marker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member<C> {
    /// The path in the image, without a slash at either end.
    #[serde(rename = "p")]
    pub path: ImagePath,
    /// The entry.
    #[serde(rename = "e")]
    pub entry: Entry<C>,
    /// When it was last changed, in seconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "super::entry::is_zero")]
    pub mtime: u64,
}

impl<C> Member<C> {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}
