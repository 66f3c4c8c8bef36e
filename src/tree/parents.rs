//! The directories of a layer whose entry does not come before the entries in them.

use std::collections::{BTreeMap, HashSet};

use super::entry::EntryKind;
use super::member::Member;
use super::paths::Paths;

/// Linux's limit for paths, in bytes.
const MAX_PATH: usize = 4096;

/// Upper bound on the faults of a layer that are listed: a hostile layer can lack more directories than fit into memory.
pub(crate) const MOST_FAULTS: usize = 50_000;

/// A directory of a layer whose entry is missing or late.
pub(crate) struct DirectoryFault<'a, C> {
    /// The first member in the directory.
    pub member: &'a Member<C>,
    /// Its position in the layer.
    pub position: usize,
    /// Whether the layer has a later entry for the directory.
    #[cfg_attr(not(feature = "check"), expect(dead_code, reason = "only the check tells them apart"))]
    pub is_late: bool,
    /// Whether a lower layer has an entry for the directory.
    #[cfg_attr(not(feature = "check"), expect(dead_code, reason = "only the check tells them apart"))]
    pub is_below: bool,
}

/// The directories without an entry before the first member in them, by path. Lambda refuses directories without an entry
/// in any layer, and those whose entry comes later in the same layer; it accepts layers that leave out the directories of
/// lower layers, as in distroless images. `is_below` tells whether a lower layer has an entry at a path.
pub(crate) fn faults_of_directories<'a, C>(
    members: &'a [Member<C>],
    listed: &Paths<'a, C>,
    is_below: impl Fn(&str) -> bool,
) -> BTreeMap<&'a str, DirectoryFault<'a, C>> {
    let mut checked: HashSet<&str> = HashSet::new();
    let mut faults = BTreeMap::new();
    // Readers refuse a path that is too long.
    let fits = |member: &Member<C>| !member.is_outside() && member.path.len() < MAX_PATH;
    // The last directory that was examined: most members are in the same one as the member before.
    let mut last = None;
    for (position, member) in members.iter().enumerate().filter(|(_, member)| fits(member)) {
        if faults.len() > MOST_FAULTS {
            break;
        }
        let nearest = parent_of(member);
        if nearest.is_none() || nearest == last {
            continue;
        }
        let mut above = nearest;
        last = nearest;
        while let Some(parent) = above {
            above = parent.rsplit_once('/').map(|(parent, _)| parent);
            // The parents of a known directory have been examined already.
            let first = listed.first(parent);
            if first.is_some_and(|first| first < position) || checked.contains(parent) {
                break;
            }
            let (is_late, is_below) = (first.is_some(), is_below(parent));
            // Kaniko writes whiteouts before all other members.
            if is_below && member.is_reserved() {
                last = None;
                break;
            }
            checked.insert(parent);
            if is_late || !is_below {
                faults.insert(parent, DirectoryFault { member, position, is_late, is_below });
            }
        }
    }
    faults
}

/// The parent directory of a member, unless that is the root. The marker of an opaque directory is in that directory.
fn parent_of<C>(member: &Member<C>) -> Option<&str> {
    match member.entry.kind {
        EntryKind::Opaque => Some(member.path.as_str()).filter(|path| !path.is_empty()),
        _ => member.path.rsplit_once('/').map(|(parent, _)| parent),
    }
}
