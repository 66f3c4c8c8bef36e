//! Differing files of two layers.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::scan::{MemoryBudget, NoFact, ScannedFile};
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

/// The differing files of two layers, in the order of their paths.
///
/// It keeps the entries of these files as they were scanned, because the differences of many files would take several
/// times their memory; [`iter`](FileDifferences::iter) makes one after the other.
#[derive(Clone, Default)]
pub struct FileDifferences(Arc<Differing>);

#[derive(Default)]
struct Differing {
    /// The members of the first and of the second layer; after the comparison, only those that differ.
    members: [Vec<Member>; 2],
    /// The indices of the members with the same path.
    pairs: Vec<Pair>,
}

/// The indices of a path's members in the first and in the second layer. A budget has no room for 2^32 members.
type Pair = [u32; 2];

/// The index of a member that a layer does not have.
const ABSENT: u32 = u32::MAX;

impl FileDifferences {
    /// Compares two layers. The last of several members with the same path counts, as when a layer is unpacked. The
    /// members that do not differ are returned to the budget.
    pub(super) fn of(members: [Vec<Member>; 2], budget: &MemoryBudget<NoFact>) -> FileDifferences {
        let mut pairs = pairs(members.each_ref().map(Vec::as_slice));
        let mut differing = Differing { members, pairs: Vec::new() };
        pairs.retain(|pair| !differing.changes(pair).is_empty());
        for (side, members) in differing.members.iter_mut().enumerate() {
            keep(members, &mut pairs, side, budget);
        }
        pairs.shrink_to_fit();
        differing.pairs = pairs;
        FileDifferences(Arc::new(differing))
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        self.0.pairs.len()
    }

    /// Whether no file differs.
    pub fn is_empty(&self) -> bool {
        self.0.pairs.is_empty()
    }

    /// The files, in the order of their paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FileDifference> + '_ {
        self.0.pairs.iter().map(|pair| {
            let member = self.0.sides(pair).into_iter().flatten().next_back();
            let path = member.map(|member| member.archive_name().into_owned()).unwrap_or_default();
            FileDifference { path, changes: self.0.changes(pair) }
        })
    }
}

impl fmt::Debug for FileDifferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for FileDifferences {
    fn eq(&self, other: &FileDifferences) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for FileDifferences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Differing {
    fn sides(&self, pair: &Pair) -> [Option<&Member>; 2] {
        [0, 1].map(|side| self.members[side].get(pair[side] as usize))
    }

    fn changes(&self, pair: &Pair) -> Vec<Change> {
        match self.sides(pair) {
            [None, Some(new)] => vec![Change::Added { size: new.size() }],
            [Some(old), None] => vec![Change::Removed { size: old.size() }],
            [Some(old), Some(new)] => changes(old, new),
            [None, None] => Vec::new(),
        }
    }
}

/// The members of both layers by their names in the archives, in the order of the names.
fn pairs(members: [&[Member]; 2]) -> Vec<Pair> {
    let [mut old, mut new] = members.map(|members| by_name(members).into_iter().peekable());
    let name = |side: usize, at: u32| members[side][at as usize].archive_name();
    let mut pairs = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(&old), Some(&new)) => name(0, old).cmp(&name(1, new)),
        };
        let from = if order.is_le() { old.next() } else { None };
        let to = if order.is_ge() { new.next() } else { None };
        pairs.push([from.unwrap_or(ABSENT), to.unwrap_or(ABSENT)]);
    }
}

/// The indices of the members in the order of their names; of several with the same name, only the last.
fn by_name(members: &[Member]) -> Vec<u32> {
    let name = |at: &u32| members[*at as usize].archive_name();
    let mut order: Vec<u32> = (0..members.len() as u32).rev().collect();
    // The sort is stable: the last member comes first, and stays.
    order.sort_by(|a, b| name(a).cmp(&name(b)));
    order.dedup_by(|a, b| name(a) == name(b));
    order
}

/// Removes the members of a layer that no pair refers to, and returns them to the budget.
fn keep(members: &mut Vec<Member>, pairs: &mut [Pair], side: usize, budget: &MemoryBudget<NoFact>) {
    let mut is_kept = vec![false; members.len()];
    pairs.iter().filter(|pair| pair[side] != ABSENT).for_each(|pair| is_kept[pair[side] as usize] = true);
    budget.release(members.iter().zip(&is_kept).filter(|(_, is_kept)| !**is_kept).map(|(member, _)| member));
    let mut count = 0;
    let ranks = is_kept.iter().map(|is_kept| {
        count += u32::from(*is_kept);
        count.wrapping_sub(1)
    });
    let ranks: Vec<u32> = ranks.collect();
    let present = pairs.iter_mut().filter(|pair| pair[side] != ABSENT);
    present.for_each(|pair| pair[side] = ranks[pair[side] as usize]);
    let mut is_kept = is_kept.into_iter();
    members.retain(|_| is_kept.next().unwrap_or_default());
    members.shrink_to_fit();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::tree::Entry;

    fn file(path: &str, content: &str) -> Member {
        let file = ScannedFile::new(content.len() as u64, Some(Digest::of(content.as_bytes())));
        Member { path: path.into(), entry: Entry::new(EntryKind::File(file), 0o644), mtime: 0 }
    }

    #[test]
    fn only_members_that_differ_are_kept() {
        let budget = MemoryBudget::new(1 << 20, |_| 0);
        let deleted = Member { entry: Entry::new(EntryKind::Whiteout, 0o644), ..file("d", "") };
        let old = vec![file("z", "1"), file("same", "1"), file("b", "1"), file("a", "1"), file("b", "2")];
        let new = vec![file("b", "22"), deleted, file("same", "1"), file("c", "1"), file("a", "1")];
        let files = FileDifferences::of([old, new], &budget);
        let change = |path: &str, change| FileDifference { path: path.to_owned(), changes: vec![change] };
        let expected = [
            change(".wh.d", Change::Added { size: 0 }),
            change("b", Change::Content { from: 1, to: 2 }),
            change("c", Change::Added { size: 1 }),
            change("z", Change::Removed { size: 1 }),
        ];
        assert!(files.iter().eq(expected), "{files:?}");
        assert_eq!(files.len(), 4);
        assert_eq!(files.0.members.each_ref().map(Vec::len), [2, 3]);
        assert_eq!(files, files.clone());
        assert_ne!(files, FileDifferences::default());
    }
}
