//! The files of a layer that differ.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::layer::survey::{Member, MemberKind};

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
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let difference = |path: &str| {
        let changes = match (old.get(path), new.get(path)) {
            (None, Some(new)) => vec![Change::Added { size: new.size }],
            (Some(old), None) => vec![Change::Removed { size: old.size }],
            (Some(old), Some(new)) => changes(old, new),
            (None, None) => Vec::new(),
        };
        (!changes.is_empty()).then(|| FileDifference { path: path.to_owned(), changes })
    };
    paths.into_iter().filter_map(difference).collect()
}

fn by_path(members: &[Member]) -> BTreeMap<&str, &Member> {
    members.iter().map(|member| (member.path.as_str(), member)).collect()
}

fn changes(old: &Member, new: &Member) -> Vec<Change> {
    let mut found = Vec::new();
    if old.kind != new.kind {
        found.push(Change::Kind { from: kind(&old.kind), to: kind(&new.kind) });
    } else if old.sha256 != new.sha256 {
        found.push(Change::Content { from: old.size, to: new.size });
    }
    if old.mode != new.mode {
        let octal = |mode: u32| format!("{mode:04o}");
        found.push(Change::Mode { from: octal(old.mode), to: octal(new.mode) });
    }
    if (old.uid, old.gid) != (new.uid, new.gid) {
        let owner = |member: &Member| format!("{}:{}", member.uid, member.gid);
        found.push(Change::Owner { from: owner(old), to: owner(new) });
    }
    if old.mtime != new.mtime {
        found.push(Change::Time { from: old.mtime, to: new.mtime });
    }
    found
}

fn kind(kind: &MemberKind) -> String {
    match kind {
        MemberKind::File => "file".to_owned(),
        MemberKind::Directory => "directory".to_owned(),
        MemberKind::Symlink(target) => format!("link to {target}"),
        MemberKind::HardLink(target) => format!("hard link to {target}"),
        MemberKind::Special => "device or pipe".to_owned(),
        MemberKind::Outside => "path out of the image".to_owned(),
    }
}
