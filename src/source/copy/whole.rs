//! A layer of an image that `COPY --from` takes as a whole: it is used as it is, and nothing is read or compressed again.

use std::collections::HashSet;

use crate::recipe::{CopyFiles, CopySource};
use crate::tree::{Entry, EntryKind, Member, Target, View, ViewLayer};

/// The path of an instruction that copies a directory of an image to the same place, without any change.
pub(super) fn same_place<'f>(files: &'f CopyFiles, to: &str) -> Option<&'f str> {
    let CopyFiles { sources, owner: None, mode: None, exclude, parents: false, link: _, origin: _ } = files
    else {
        return None;
    };
    match &sources[..] {
        [CopySource::Image { path, .. }]
            if exclude.is_empty() && path.trim_matches('/') == to.trim_matches('/') =>
        {
            Some(path.trim_matches('/'))
        }
        _ => None,
    }
}

/// The number of the layer that has all that the image has below the directory `path`, and nothing else but plain
/// directories above it.
pub(super) fn find(lists: &[Vec<Member<u64>>], path: &str) -> Option<usize> {
    let path = path.as_bytes();
    let is_below = |member: &Member<u64>| {
        let below = member.path.as_bytes().strip_prefix(path);
        below.is_some_and(|rest| path.is_empty() || rest.starts_with(b"/")) && !member.path.is_empty()
    };
    let mut having = (0..lists.len()).filter(|&number| lists[number].iter().any(is_below));
    let (number, None) = (having.next()?, having.next()) else { return None };
    let is_deletion =
        |member: &Member<u64>| matches!(member.entry.kind, EntryKind::Whiteout | EntryKind::Opaque);
    if lists.iter().flatten().any(is_deletion) {
        return None;
    }
    let fits = |member: &Member<u64>| {
        let is_parent =
            || path.starts_with(&[member.path.as_bytes(), b"/"].concat()) || member.path.is_empty();
        let is_above = member.is_directory()
            && is_plain(&member.entry)
            && (is_parent() || member.path.as_bytes() == path);
        let link_fits = match &member.entry.kind {
            EntryKind::HardLink(target) => {
                target.strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.starts_with(b"/"))
            }
            _ => true,
        };
        (is_below(member) || is_above) && link_fits && !member.is_outside()
    };
    let members = &lists[number];
    let paths: HashSet<&[u8]> = members.iter().map(|member| member.path.as_bytes()).collect();
    if paths.len() != members.len() || !members.iter().all(fits) {
        return None;
    }
    let view = View::of(lists.iter().map(|members| Some(ViewLayer { members, from_tree: false })));
    let resolved = view.resolve(path);
    let is_directory = match resolved.target {
        Target::Entry(found) => found.member.is_directory() && is_plain(&found.member.entry),
        Target::Directory => true,
        Target::Nothing | Target::Loop => false,
    };
    (is_directory && resolved.path.as_bytes() == path).then_some(number)
}

/// Whether a directory is as lbuild makes those above files.
fn is_plain<C>(entry: &Entry<C>) -> bool {
    (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0) && entry.xattrs.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::ImagePath;

    fn member(path: &str) -> Member<u64> {
        let (path, entry) = match path.strip_suffix('/') {
            Some(dir) => (dir, Entry::directory()),
            None => (path, Entry::new(EntryKind::File(1), 0o644)),
        };
        Member { path: ImagePath::from(path), entry, mtime: 0 }
    }

    fn layers(paths: &[&[&str]]) -> Vec<Vec<Member<u64>>> {
        paths.iter().map(|paths| paths.iter().map(|path| member(path)).collect()).collect()
    }

    #[test]
    fn a_layer_of_nothing_else_is_used_as_it_is() {
        for (paths, path, expected) in [
            (&[&["opt/", "opt/a", "opt/d/", "opt/d/b"][..]][..], "opt", Some(0)),
            (&[&["etc/", "etc/x"], &["opt/", "opt/a"]], "opt", Some(1)),
            (&[&["opt/", "opt/a"]], "", Some(0)),
            (&[&["opt/", "opt/a", "etc/x"]], "opt", None),
            (&[&["opt/", "opt/a", "tmp/"]], "opt", None),
            (&[&["usr/", "usr/lib/", "usr/lib/a"]], "usr/lib", Some(0)),
            (&[&["opt/", "opt/a"], &["opt/b"]], "opt", None),
            (&[&["opt/", "opt/a", "opt/a"]], "opt", None),
            (&[&["optional/x"]], "opt", None),
            (&[&["opt"]], "opt", None),
        ] {
            assert_eq!(find(&layers(paths), path), expected, "{paths:?} {path}");
        }
        let mut own = layers(&[&["opt/", "opt/a"]]);
        own[0][0].entry.mode = 0o700;
        assert_eq!(find(&own, "opt"), None, "the directory keeps its mode");
        let mut deleted = layers(&[&["opt/", "opt/a"], &["etc/x"]]);
        deleted[1][0].entry.kind = EntryKind::Whiteout;
        assert_eq!(find(&deleted, "opt"), None, "deletions");
    }
}
