//! Files of an image: their paths and contents.

use std::collections::BTreeMap;

use crate::tree::{Target, View};

/// The contents of the image's files, by their paths without a leading slash.
pub(crate) type Contents = BTreeMap<String, Vec<u8>>;

/// The files below a directory, or the file itself.
pub(super) fn files_below<C>(view: &View<'_, C>, path: &str) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match view.resolve(path).target {
        Target::Entry(file) if !file.member.is_directory() => vec![path.to_owned()],
        _ => {
            let files = view.below(path).filter(|file| file.member.is_file());
            files.map(|file| text(file.member.path.as_bytes())).collect()
        }
    }
}

/// The text of a file; empty unless it was read.
pub(super) fn text_of(read: &Contents, path: &str) -> String {
    read.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// Whether a path is below a directory.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}
