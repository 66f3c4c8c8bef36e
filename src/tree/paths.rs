//! [`Paths`]: the members of a layer in the order of their paths.

use super::member::Member;
use super::path::ImagePath;

/// An index of a layer's members by path. It takes four bytes for each; a set of paths would take twenty to forty.
pub(crate) struct Paths<'a, C> {
    members: &'a [Member<C>],
    /// The members' indices by path, then by position.
    order: Vec<u32>,
}

impl<'a, C> Paths<'a, C> {
    pub fn of(members: &'a [Member<C>]) -> Paths<'a, C> {
        let path = |at: &u32| members[*at as usize].path.as_str();
        // Memory ends long before 2^32 members. The sort is stable, and fast for paths that are nearly in order.
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        order.sort_by(|a, b| path(a).cmp(path(b)));
        Paths { members, order }
    }

    /// The members with the same path, in the order of the archive; by path.
    #[cfg_attr(
        not(any(feature = "check", test)),
        expect(dead_code, reason = "only the check looks for other repeated entries")
    )]
    pub fn groups(&self) -> impl Iterator<Item = impl Iterator<Item = &'a Member<C>>> {
        let groups = self.order.chunk_by(|a, b| self.path(*a) == self.path(*b));
        groups.map(|group| group.iter().map(|at| &self.members[*at as usize]))
    }

    /// The positions of the entries at a path. Deletions do not count.
    pub fn entries(&self, path: &str) -> impl Iterator<Item = usize> {
        let start = self.order.partition_point(|at| self.path(*at) < path);
        let group = self.order[start..].iter().map(|at| *at as usize);
        let group = group.take_while(move |at| self.members[*at].path.as_str() == path);
        group.filter(|at| !self.members[*at].is_deletion())
    }

    /// The position of the first entry at a path. Deletions do not count.
    pub fn first(&self, path: &str) -> Option<usize> {
        self.entries(path).next()
    }

    /// The paths of which several members are directories. The root does not count, because readers do not depend on its
    /// entry.
    pub fn repeated_directories(&self) -> impl Iterator<Item = &'a ImagePath> {
        let repeated = |group: &[u32]| {
            let members = group.iter().map(|at| &self.members[*at as usize]);
            let directories = members.filter(|member| member.is_directory() && !member.path.is_empty());
            directories.map(|member| &member.path).nth(1)
        };
        self.order.chunk_by(|a, b| self.path(*a) == self.path(*b)).filter_map(repeated)
    }

    /// Whether the layer has an entry at a path.
    pub fn contains(&self, path: &str) -> bool {
        self.first(path).is_some()
    }

    fn path(&self, at: u32) -> &'a str {
        &self.members[at as usize].path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, EntryKind};

    #[test]
    fn members_are_found_by_path_in_the_order_of_the_archive() {
        let member =
            |path: &str, kind| Member::<()> { path: path.into(), entry: Entry::new(kind, 0o644), mtime: 0 };
        let members = [
            member("b", EntryKind::Whiteout),
            member("b", EntryKind::Directory),
            member("a", EntryKind::File(())),
            member("b", EntryKind::File(())),
            member("b/c", EntryKind::Whiteout),
        ];
        let paths = Paths::of(&members);
        let groups = paths.groups().map(|group| group.map(|member| &*member.path).collect::<Vec<_>>());
        assert_eq!(groups.collect::<Vec<_>>(), [vec!["a"], vec!["b", "b", "b"], vec!["b/c"]]);
        assert_eq!((paths.first("a"), paths.first("b")), (Some(2), Some(1)), "a deletion is not an entry");
        assert!(!paths.contains("b/c") && !paths.contains("") && !paths.contains("c"));
    }
}
