//! The division of installed packages into layers: a pure function of their files, so that all machines make the same
//! layers, and an upgraded package changes few of them.
//!
//! A large package is a layer of its own. Small packages share layers: all of them are one group, and a group that is
//! too large is divided in two by a bit of the hashes of the packages' names. So a package only affects its own group.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::tree::{Entry, EntryKind, FileTree};

/// A package of at least this many bytes has its own layer, and small packages of fewer bytes in total share one.
const LARGE: u64 = 4 << 20;

/// Upper bound on layers of large packages. Docker allows 125 layers per image; this leaves room for the groups, the base
/// and the function.
const MOST: usize = 40;

/// Upper bound on the bits by which small packages are divided: 32 groups.
const BITS: u32 = 5;

/// Directory and settings of the package managers, for what belongs to no package: links to programs and workspaces.
const MODULES: &str = "node_modules";

/// Bytes of a layer besides the content of a file.
const HEADER: u64 = 512;

/// Files that become one layer.
#[derive(Debug)]
pub(super) struct PackageGroup {
    /// The display name.
    pub(super) name: String,
    pub(super) tree: FileTree,
}

/// Entries of a tree with their paths.
type Entries = Vec<(Vec<u8>, Entry)>;

/// What a path of a tree belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// A package with this name.
    Package(Vec<u8>),
    /// No package: links of `.bin`, lists of the installed packages.
    Rest,
    /// A directory of packages, which every layer has anyway.
    Directory,
}

/// Divides the files of an installation. Large packages come first, by name; what belongs to no package comes last, or
/// is with the small packages if these are one group.
pub(super) fn divide(tree: FileTree) -> Result<Vec<PackageGroup>> {
    let mut owned: BTreeMap<Owner, Entries> = BTreeMap::new();
    for (path, entry) in tree {
        owned.entry(owner(&path, &entry)).or_default().push((path, entry));
    }
    let directories = owned.remove(&Owner::Directory).unwrap_or_default();
    let rest = owned.remove(&Owner::Rest).unwrap_or_default();
    let mut packages: Vec<(Vec<u8>, Entries)> = Vec::new();
    for (owner, entries) in owned {
        if let Owner::Package(name) = owner {
            packages.push((name, entries));
        }
    }
    let (large, small) = by_size(&packages.iter().map(|(_, entries)| size(entries)).collect::<Vec<_>>());
    let groups = hashed(&packages, small);
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    all.extend(large.into_iter().map(|at| (text(&packages[at].0), vec![at])));
    let is_one = groups.len() == 1;
    all.extend(groups.into_iter().map(|group| {
        let name = match &group[..] {
            _ if is_one => MODULES.to_owned(),
            [only] => text(&packages[*only].0),
            group => format!("{} small packages", group.len()),
        };
        (name, group)
    }));
    let mut taken: Vec<Entries> = packages.into_iter().map(|(_, entries)| entries).collect();
    let mut found = Vec::new();
    for (name, group) in all {
        let entries = group.into_iter().flat_map(|at| std::mem::take(&mut taken[at]));
        found.push(PackageGroup { name, tree: FileTree::of(entries)? });
    }
    match found.last_mut() {
        Some(last) if is_one => last.tree.extend(FileTree::of(rest)?),
        Some(_) if rest.is_empty() => {}
        // Without packages, their directory is all that there is.
        None if rest.is_empty() => {
            found.push(PackageGroup { name: MODULES.to_owned(), tree: FileTree::of(directories)? });
        }
        _ => found.push(PackageGroup { name: MODULES.to_owned(), tree: FileTree::of(rest)? }),
    }
    found.retain(|group| group.tree.iter().len() > 0);
    Ok(found)
}

/// The package of the innermost `node_modules` on the path: an upgrade may move a package from one `node_modules` to
/// another, and that should change no other package's layer.
fn owner(path: &[u8], entry: &Entry) -> Owner {
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let Some(modules) = parts.iter().rposition(|part| *part == MODULES.as_bytes()) else {
        return Owner::Rest;
    };
    let below = &parts[modules + 1..];
    let is_directory = entry.is_directory();
    match below {
        [] if is_directory => Owner::Directory,
        [first, ..] if first.starts_with(b".") => Owner::Rest,
        [scope] if scope.starts_with(b"@") && is_directory => Owner::Directory,
        [scope, name, rest @ ..] if scope.starts_with(b"@") => {
            of_package([scope, b"/".as_slice(), name].concat(), rest, entry)
        }
        [name, rest @ ..] => of_package(name.to_vec(), rest, entry),
        [] => Owner::Rest,
    }
}

/// A package that is a link has its files elsewhere.
fn of_package(name: Vec<u8>, rest: &[&[u8]], entry: &Entry) -> Owner {
    match rest.is_empty() && matches!(entry.kind, EntryKind::Symlink(_)) {
        true => Owner::Rest,
        false => Owner::Package(name),
    }
}

fn size(entries: &[(Vec<u8>, Entry)]) -> u64 {
    let of = |entry: &Entry| match &entry.kind {
        EntryKind::File(content) => content.size(),
        _ => 0,
    };
    entries.iter().map(|(_, entry)| of(entry) + HEADER).sum()
}

/// The packages that have their own layer, and the others with their sizes. The packages are in the order of their
/// names.
fn by_size(sizes: &[u64]) -> (Vec<usize>, Vec<(usize, u64)>) {
    let mut large: Vec<usize> = (0..sizes.len()).filter(|&at| sizes[at] >= LARGE).collect();
    large.sort_by_key(|&at| (std::cmp::Reverse(sizes[at]), at));
    large.truncate(MOST);
    large.sort_unstable();
    let small = sizes.iter().copied().enumerate().filter(|(at, _)| !large.contains(at));
    let small = small.collect();
    (large, small)
}

/// Small packages in groups by the hashes of their names.
fn hashed<E>(packages: &[(Vec<u8>, E)], small: Vec<(usize, u64)>) -> Vec<Vec<usize>> {
    let hash = |at: usize| Sha256::digest(&packages[at].0)[0];
    let mut waiting = vec![(small, 0)];
    let mut groups = Vec::new();
    while let Some((group, bit)) = waiting.pop() {
        let total: u64 = group.iter().map(|(_, size)| size).sum();
        if total < LARGE || bit == BITS {
            groups.push(group.into_iter().map(|(at, _)| at).collect::<Vec<_>>());
            continue;
        }
        let (ones, zeros): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|(at, _)| hash(*at) >> (7 - bit) & 1 == 1);
        waiting.push((ones, bit + 1));
        waiting.push((zeros, bit + 1));
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, SourceFile, Stat};

    fn file(size: u64) -> Entry {
        let stat = Stat { size, mtime_ns: 0, ctime_ns: 0, ino: 0, dev: 0 };
        Entry::file(Content::File(SourceFile { path: "x".into(), stat, sha256: None, lasting: false }), false)
    }

    fn tree(files: &[(&str, u64)]) -> FileTree {
        FileTree::of(files.iter().map(|(path, size)| (path.as_bytes().to_vec(), file(*size)))).unwrap()
    }

    fn shown(groups: &[PackageGroup]) -> Vec<(String, Vec<String>)> {
        let paths = |group: &PackageGroup| {
            group.tree.iter().map(|(path, _)| String::from_utf8_lossy(path).into_owned()).collect()
        };
        groups.iter().map(|group| (group.name.clone(), paths(group))).collect()
    }

    #[test]
    fn few_packages_are_one_layer() {
        let mut all = tree(&[
            ("node_modules/a/index.js", 1),
            ("node_modules/@s/b/index.js", 1),
            ("node_modules/.package-lock.json", 1),
        ]);
        all.insert(&b"node_modules"[..], Entry::directory()).unwrap();
        all.insert(&b"node_modules/.bin/a"[..], Entry::symlink("../a/a.js")).unwrap();
        let groups = shown(&divide(all).unwrap());
        assert_eq!((groups.len(), &*groups[0].0, groups[0].1.len()), (1, "node_modules", 4));
        let empty = FileTree::of([(b"node_modules".to_vec(), Entry::directory())]).unwrap();
        assert_eq!(shown(&divide(empty).unwrap()), [("node_modules".into(), vec!["node_modules".into()])]);
        assert!(divide(FileTree::new()).unwrap().is_empty());
    }

    #[test]
    fn large_packages_are_alone_and_all_copies_of_a_package_together() {
        let mut all = tree(&[
            ("f/node_modules/@s/big/a", LARGE),
            ("f/node_modules/@s/big/node_modules/c/c.js", 7),
            ("f/node_modules/c/c.js", 8),
            ("f/package-lock.json", 9),
        ]);
        all.insert(&b"f/node_modules/w"[..], Entry::symlink("../w")).unwrap();
        let groups = shown(&divide(all).unwrap());
        assert_eq!(groups[0], ("@s/big".into(), vec!["f/node_modules/@s/big/a".into()]));
        assert_eq!((groups.len(), groups[1].1.len()), (2, 4), "{groups:?}");
    }

    #[test]
    fn one_upgraded_package_changes_its_own_group_only() {
        let names: Vec<String> = (0..500).map(|n| format!("node_modules/package-{n}/index.js")).collect();
        let sizes = |changed: u64| {
            names
                .iter()
                .enumerate()
                .map(move |(n, name)| (name.as_str(), 90_000 + if n == 77 { changed } else { 0 }))
        };
        let groups = |changed| shown(&divide(tree(&sizes(changed).collect::<Vec<_>>())).unwrap());
        let (before, after) = (groups(0), groups(5_000));
        assert!((12..=32).contains(&before.len()), "{}", before.len());
        let kept = before.iter().filter(|group| after.contains(group)).count();
        assert!(kept + 1 >= before.len(), "{kept} of {}", before.len());
        assert!(before.iter().all(|(name, _)| name.ends_with(" small packages")));
    }

    #[test]
    fn there_are_not_too_many_layers() {
        let names: Vec<String> = (0..900).map(|n| format!("node_modules/p{n}/i.js")).collect();
        let sizes =
            names.iter().enumerate().map(|(n, name)| (name.as_str(), (n as u64 % 100) * (LARGE / 50)));
        let groups = divide(tree(&sizes.collect::<Vec<_>>())).unwrap();
        assert!(groups.len() <= MOST + (1 << BITS) + 1, "{}", groups.len());
    }
}
