//! Members that occur several times in an archive.
//!
//! Build tools for jars and wheels write such archives. If the contents are the same, all readers agree on the archive,
//! and one copy is kept. Otherwise some readers take the first member and some the last, so lbuild refuses the archive.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sha2::{Digest as _, Sha256};

use super::member::{ZipKind, ZipMember, misnamed};
use crate::error::Result;
use crate::layer::zip_content::read_member;
use crate::tree::ZipContent;

/// Removes repeated directories, and all but the last of several records of the same data. Returns whether members with
/// other data and the same path are left.
///
/// # Errors
/// When members of the same path have different kinds, or a member is below another that is not a directory.
pub(super) fn settle(members: &mut Vec<ZipMember>) -> Result<bool> {
    let (mut again, mut copies) = (HashSet::new(), false);
    for pair in by_path(members).windows(2) {
        let (before, after) = (&members[pair[0]], &members[pair[1]]);
        let directory = before.kind == ZipKind::Directory;
        let below = after.name.strip_prefix(before.name.as_str());
        match below {
            Some("") if before.kind != after.kind => {
                return Err(misnamed(&after.content, "another member has the same name"));
            }
            Some("") if directory => drop(again.insert(pair[1])),
            Some("") if is_same_record(&before.content, &after.content) => drop(again.insert(pair[0])),
            Some("") => copies = true,
            Some(below) if below.starts_with('/') && !directory => {
                return Err(misnamed(&after.content, "it is below a member that is not a directory"));
            }
            _ => {}
        }
    }
    remove(members, &again);
    Ok(copies)
}

/// Removes all but the last of several files of the same path and content. The data of the members must be located.
///
/// # Errors
/// When the contents differ, and those of [`read_member`].
pub(super) fn remove_copies(members: &mut Vec<ZipMember>) -> Result<()> {
    let mut again = HashSet::new();
    for pair in by_path(members).windows(2) {
        let (before, after) = (&members[pair[0]], &members[pair[1]]);
        if before.name != after.name {
            continue;
        }
        let sums = |content: &ZipContent| (content.size, content.crc32);
        if sums(&before.content) != sums(&after.content) || hash(&before.content)? != hash(&after.content)? {
            return Err(misnamed(&after.content, "another member has the same name and other content"));
        }
        again.insert(pair[0]);
    }
    remove(members, &again);
    Ok(())
}

/// Whether two records of an archive's directory name the same data.
fn is_same_record(a: &ZipContent, b: &ZipContent) -> bool {
    let fields = |content: &ZipContent| {
        let &ZipContent { archive: _, name: _, deflated, offset, length, size, crc32 } = content;
        (deflated, offset, length, size, crc32)
    };
    a.name == b.name && fields(a) == fields(b)
}

fn hash(content: &ZipContent) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    read_member(content, |piece| {
        hash.update(piece);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(hash.finalize().into())
}

/// The indices of the members by path, component by component, so that the members below a directory follow it. Members
/// of the same path stay in the order of the archive's directory.
fn by_path(members: &[ZipMember]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| members[a].name.split('/').cmp(members[b].name.split('/')));
    order
}

/// Removes the members at these indices.
fn remove(members: &mut Vec<ZipMember>, which: &HashSet<usize>) {
    let mut indices = 0..;
    members.retain(|_| !indices.next().is_some_and(|index| which.contains(&index)));
}
