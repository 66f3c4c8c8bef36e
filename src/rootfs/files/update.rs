//! [`IndexUpdate`]: what turns an index into another one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::index::{Index, Saved};
use crate::tree::ImagePath;

/// The difference between two indices. It is what a process in a user namespace sends back: a layer changes a few of the
/// many files below it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IndexUpdate {
    gone: Vec<ImagePath>,
    changed: Vec<Saved>,
}

impl IndexUpdate {
    pub fn between(before: &Index, after: &Index) -> IndexUpdate {
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        let mut old = before.nodes.iter().peekable();
        for (path, node) in &after.nodes {
            while let Some((lost, _)) = old.next_if(|(old, _)| *old < path) {
                gone.push(ImagePath::new(lost));
            }
            match old.next_if(|(old, _)| *old == path) {
                Some((_, same)) if Arc::ptr_eq(same, node) || same == node => {}
                _ => changed.push(Saved::of(path, node)),
            }
        }
        gone.extend(old.map(|(lost, _)| ImagePath::new(lost)));
        IndexUpdate { gone, changed }
    }

    /// The later index.
    pub fn applied(self, before: &Index) -> Index {
        let mut index = before.clone();
        self.gone.iter().for_each(|path| drop(index.nodes.remove(path.as_bytes())));
        self.changed.into_iter().for_each(|saved| index.restore(saved));
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::files::index::Node;
    use crate::tree::{Entry, EntryKind};

    /// An index with directories, and with links to the given targets.
    fn index(links: &[(&str, &str)]) -> Index {
        let mut index = Index::new();
        for (path, target) in links {
            let link = EntryKind::Symlink(target.as_bytes().to_vec());
            index.put(path.as_bytes(), Node::new(Entry::new(link, 0o777), 7));
        }
        index
    }

    #[test]
    fn an_update_has_the_changed_files_only() {
        let before = index(&[("a/b", "1"), ("c/d/e", "2"), ("f", "3"), ("z", "4")]);
        let after = index(&[("a/b", "1"), ("a/new", "5"), ("c", "2"), ("f", "6"), ("z", "4")]);
        let update = IndexUpdate::between(&before, &after);
        let paths = |paths: Vec<&ImagePath>| paths.iter().map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(paths(update.gone.iter().collect()), ["c/d", "c/d/e"]);
        assert_eq!(paths(update.changed.iter().map(|saved| &saved.path).collect()), ["a/new", "c", "f"]);
        let sent: IndexUpdate = serde_json::from_slice(&serde_json::to_vec(&update).unwrap()).unwrap();
        assert_eq!(sent.applied(&before), after);
    }

    #[test]
    fn equal_indices_have_no_difference() {
        let before = index(&[("a/b", "1")]);
        let update = IndexUpdate::between(&before, &before.clone());
        assert!(update.gone.is_empty() && update.changed.is_empty());
        assert_eq!(update.applied(&before), before);
    }
}
