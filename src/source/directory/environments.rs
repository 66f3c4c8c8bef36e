//! Virtual environments of Python in the code: a function does not use them, and they are large.

use std::path::Path;

use crate::event::Events;
use crate::tree::FileTree;

/// Warns of each virtual environment in `tree`, which holds the directory `root`.
pub(super) fn warn(tree: &FileTree, root: &Path, events: &Events) {
    for (path, _) in tree.iter() {
        let Some(dir) = path.strip_suffix(b"/pyvenv.cfg") else { continue };
        let place = root.join(String::from_utf8_lossy(dir).as_ref());
        let message = format!("{} is a virtual environment, and is packed with the code", place.display());
        let hint = "name it in .lambdaignore; --lock or --requirements install packages for the image";
        events.warn(message, Some(hint));
    }
}
