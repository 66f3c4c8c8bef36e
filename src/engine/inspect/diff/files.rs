//! The files of a layer that differ.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::scan::{NoFact, ScannedFile};
use crate::tree::{self, EntryKind, ImagePath};

type Member = tree::Member<ScannedFile<NoFact>>;

/// A file that is otherwise, or in one layer only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// The path in the image, without a slash in front.
    pub path: String,
    /// What became of it, in the order of [`Change`]: there is at least one.
    pub changes: Vec<Change>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Added {
        /// Its size in bytes.
        size: u64,
    },
    /// It is gone.
    Removed {
        /// Its size in bytes.
        size: u64,
    },
    /// It is something else, as a link in place of a file, or leads elsewhere.
    Kind {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// It holds something else.
    Content {
        /// Its size before, in bytes.
        from: u64,
        /// Its size now, in bytes.
        to: u64,
    },
    /// It has other permissions.
    Mode {
        /// In octal digits, as `0644`.
        from: String,
        /// In octal digits.
        to: String,
    },
    /// It belongs to another user or group.
    Owner {
        /// As `0:0`.
        from: String,
        /// As `0:0`.
        to: String,
    },
    /// It bears another time.
    Time {
        /// In seconds since 1970.
        from: u64,
        /// In seconds since 1970.
        to: u64,
    },
}

/// The files that differ, in the order of their paths; of several of one path, the last counts, as when a layer is
/// unpacked.
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
        _ if member.is_outside() => "path out of the image".to_owned(),
        // The archive has an empty file for a deletion.
        EntryKind::File(_) | EntryKind::Whiteout | EntryKind::Opaque => "file".to_owned(),
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Symlink(target) => format!("link to {}", ImagePath::new(target)),
        EntryKind::HardLink(target) => format!("hard link to {}", ImagePath::new(target)),
        EntryKind::Device(_) => "device or pipe".to_owned(),
    }
}
