//! [`Candidates`]: the paths of a root that a command may have changed.

use std::collections::BTreeSet;

use super::index::Index;

/// The paths that a command may have changed. Overlays and snapshots find different ones, but the difference that is
/// made of them is the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    /// Paths that exist and may have changed, without the root.
    pub present: BTreeSet<Vec<u8>>,
    /// Paths of the index that exist no longer.
    pub gone: BTreeSet<Vec<u8>>,
    /// For the upper directory of an overlay: its opaque directories.
    pub opaque: Option<BTreeSet<Vec<u8>>>,
}

impl Candidates {
    /// The path and all below it exist no longer.
    pub fn lose(&mut self, path: &[u8], index: &Index) {
        if index.get(path).is_some() {
            self.gone.insert(path.to_vec());
            self.lose_below(path, index, |_| false);
        }
    }

    /// The entries below a directory of the index exist no longer, except some.
    pub fn lose_below(&mut self, dir: &[u8], index: &Index, exists: impl Fn(&[u8]) -> bool) {
        let below = index.below(dir).map(|(path, _)| path).filter(|path| !exists(path));
        self.gone.extend(below.map(<[u8]>::to_vec));
    }
}
