//! Files of which programs copy the owner. Where owners are recorded, programs see every file as root's: `useradd`, which
//! writes `/etc/shadow` anew and gives it the owner that it sees, would take it from its group.

use super::attributes::Owners;
use super::index::Index;
use super::read::Found;

/// The files that shadow-utils write so, and `-` at the end for their backups.
const COPIED: [&[u8]; 2] = [b"etc/shadow", b"etc/gshadow"];

/// Gives such a file the owner that its original has in the layers below.
pub(super) fn keep_owner(path: &[u8], found: &mut Found, index: &Index, owners: Owners) {
    if owners == Owners::Recorded
        && is_copied(path)
        && (found.entry.uid, found.entry.gid) == (0, 0)
        && let Some(original) = index.get(path.strip_suffix(b"-").unwrap_or(path))
    {
        (found.entry.uid, found.entry.gid) = (original.entry.uid, original.entry.gid);
    }
}

/// Whether the owner of the file at this path may be that of another one.
pub(super) fn is_copied(path: &[u8]) -> bool {
    COPIED.contains(&path.strip_suffix(b"-").unwrap_or(path))
}
