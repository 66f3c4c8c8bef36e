//! Differing files of two layers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::scan::{NoFact, ScannedFile};
use crate::tree::{self, EntryKind, ImagePath};

type Member = tree::Member<ScannedFile<NoFact>>;

/// A file that differs, or that only one layer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// The path in the image, without a leading slash.
    pub path: String,
    /// The changes, in the order of [`Change`]; at least one.
    pub changes: Vec<Change>,
}

/// A change of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// Only the second layer has it.
    Added {
        /// Its size in bytes.
        size: u64,
    },
    /// Only the first layer has it.
    Removed {
        /// Its size in bytes.
        size: u64,
    },
    /// Its kind differs, for example a link instead of a file, or the target of a link.
    Kind {
        /// The kind in the first layer.
        from: String,
        /// The kind in the second layer.
        to: String,
    },
    /// Its content differs.
    Content {
        /// Its size in the first layer, in bytes.
        from: u64,
        /// Its size in the second layer, in bytes.
        to: u64,
    },
    /// Its permissions differ.
    Mode {
        /// Octal digits in the first layer, for example `0644`.
        from: String,
        /// Octal digits in the second layer.
        to: String,
    },
    /// Its user or group differs.
    Owner {
        /// User and group id in the first layer, for example `0:0`.
        from: String,
        /// User and group id in the second layer.
        to: String,
    },
    /// Its modification time differs.
    Time {
        /// The time in the first layer, in seconds since 1970.
        from: u64,
        /// The time in the second layer, in seconds since 1970.
        to: u64,
    },
}

/// The differing files, in the order of their paths. The last of several members with the same path counts, as when a
/// layer is unpacked.
pub fn compare(from: &[Member], to: &[Member]) -> Vec<FileDifference> {
    let [old, new] = [from, to].map(by_path);
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).map(|path| &**path).collect();
    paths.sort_unstable();
    paths.dedup();
    let difference = |path: &str| {
        let changes = match (old.get(path), new.get(path)) {
            (None, Some(new)) => vec![Change::Added { size: new.size() }],
            (Some(old), None) => vec![Change::Removed { size: old.size() }],
            (Some(old), Some(new)) => changes(old, new),
            (None, None) => Vec::new(),
        };
        (!changes.is_empty()).then(|| FileDifference { path: path.to_owned(), changes })
    };
    paths.into_iter().filter_map(difference).collect()
}

fn by_path(members: &[Member]) -> BTreeMap<Cow<'_, str>, &Member> {
    members.iter().map(|member| (member.archive_name(), member)).collect()
}

fn changes(old: &Member, new: &Member) -> Vec<Change> {
    let mut found = Vec::new();
    let [from, to] = [old, new].map(kind);
    if from != to {
        found.push(Change::Kind { from, to });
    } else if old.sha256() != new.sha256() {
        found.push(Change::Content { from: old.size(), to: new.size() });
    }
    if old.entry.mode != new.entry.mode {
        let octal = |member: &Member| format!("{:04o}", member.entry.mode);
        found.push(Change::Mode { from: octal(old), to: octal(new) });
    }
    if (old.entry.uid, old.entry.gid) != (new.entry.uid, new.entry.gid) {
        let owner = |member: &Member| format!("{}:{}", member.entry.uid, member.entry.gid);
        found.push(Change::Owner { from: owner(old), to: owner(new) });
    }
    if old.mtime != new.mtime {
        found.push(Change::Time { from: old.mtime, to: new.mtime });
    }
    found
}

fn kind(member: &Member) -> String {
    match &member.entry.kind {
        _ if member.is_outside() => "path outside the image".to_owned(),
        // A deletion is an empty file in the archive.
        EntryKind::File(_) | EntryKind::Whiteout | EntryKind::Opaque => "file".to_owned(),
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Symlink(target) => format!("link to {}", ImagePath::new(target)),
        EntryKind::HardLink(target) => format!("hard link to {}", ImagePath::new(target)),
        EntryKind::Device(_) => "device or pipe".to_owned(),
    }
}
