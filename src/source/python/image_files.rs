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

/// A path from a directory of the image.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", directory.trim_end_matches('/'))
    }
}

/// A path without a slash at either end, and without `.` and `..`.
pub(super) fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a path is below a directory.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}
