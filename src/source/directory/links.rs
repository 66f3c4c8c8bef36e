//! Symlinks that will lead nowhere in the image, judged by the tree and not by the machine that builds it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::event::Events;
use crate::tree::{EntryKind, FileTree};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// A symlink that may not work in the image. None is an error, as another layer may hold what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Warning {
    /// Nothing in the source is where the link leads, or it leads to itself.
    Dangles { link: PathBuf, target: PathBuf },
    /// The link leads out of the source by way of `..`.
    Leaves { link: PathBuf, target: PathBuf },
    /// The link leads to the source by its path on this machine, which the image does not have.
    IntoSource { link: PathBuf, target: PathBuf },
}

impl Warning {
    /// The remedy.
    fn hint(&self) -> &'static str {
        match self {
            Warning::Dangles { .. } => {
                "if no other layer has the target, replace the link, or add it to .lambdaignore; \
                 if an ignore file keeps the target out, bring it back with a `!` line"
            }
            Warning::Leaves { .. } => "copy what it leads to into the source, or add it with --add",
            Warning::IntoSource { .. } => "make it a relative link",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (link, target, fault) = match self {
            Warning::Dangles { link, target } => (link, target, "which is not in the source"),
            Warning::Leaves { link, target } => (link, target, "which is outside of the source"),
            Warning::IntoSource { link, target } => (link, target, "a path of this machine only"),
        };
        write!(f, "the symlink {} leads to {}, {fault}", link.display(), target.display())
    }
}

/// Tells `events` of the symlinks in `tree` that may not work in the image.
pub(in crate::source) fn warn_of_links(tree: &FileTree, root: &Path, to: &[u8], events: &Events) {
    check(tree, root, to, &mut |warning| events.warn(warning.to_string(), Some(warning.hint())));
}

/// Warns of the symlinks in `tree`, which was collected from `root` as the image directory `to`.
fn check(tree: &FileTree, root: &Path, to: &[u8], warn: &mut dyn FnMut(Warning)) {
    let mut real_root = None;
    for (path, entry) in tree.iter() {
        let EntryKind::Symlink(target) = &entry.kind else { continue };
        let relative = below(path, to).unwrap_or_default();
        let link = root.join(OsStr::from_bytes(relative));
        let target = PathBuf::from(OsStr::from_bytes(target));
        if target.is_absolute() && inside(target.as_os_str().as_bytes(), to).is_none() {
            let real_root = real_root.get_or_insert_with(|| root.canonicalize().unwrap_or_default());
            let into = |root: &Path| root.is_absolute() && target.starts_with(root);
            if into(real_root) || into(root) {
                warn(Warning::IntoSource { link, target });
            }
            continue;
        }
        match resolve(tree, to, relative) {
            End::Found => {}
            End::Nowhere => warn(Warning::Dangles { link, target }),
            End::Outside => warn(Warning::Leaves { link, target }),
        }
    }
}

enum End {
    Found,
    Nowhere,
    Outside,
}

/// Follows the path `relative` through the tree as the kernel would, links in its middle included.
fn resolve(tree: &FileTree, to: &[u8], relative: &[u8]) -> End {
    let mut ahead: VecDeque<&[u8]> = relative.split(|&b| b == b'/').collect();
    let mut place = to.to_vec();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        match part {
            b"" | b"." => continue,
            b".." if place.len() <= to.len() => return End::Outside,
            b".." => {
                let parent = place.iter().rposition(|&b| b == b'/').unwrap_or(0);
                place.truncate(parent);
                continue;
            }
            _ => {}
        }
        let parent = place.len();
        if parent > 0 {
            place.push(b'/');
        }
        place.extend_from_slice(part);
        match tree.get(&place).map(|entry| &entry.kind) {
            None => return End::Nowhere,
            Some(EntryKind::Directory | EntryKind::Opaque) => {}
            // Not even `file/.` resolves.
            Some(EntryKind::File(_) | EntryKind::HardLink(_) | EntryKind::Device(_)) => {
                return if ahead.is_empty() { End::Found } else { End::Nowhere };
            }
            Some(EntryKind::Whiteout) => return End::Nowhere,
            Some(EntryKind::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return End::Nowhere;
                }
                place.truncate(parent);
                let target = match target.starts_with(b"/") {
                    false => target.as_slice(),
                    true => match inside(target, to) {
                        // A link on the way that leads elsewhere in the image: not for this tree to judge.
                        None => return End::Found,
                        Some(inside) => {
                            place.truncate(to.len());
                            inside
                        }
                    },
                };
                target.split(|&b| b == b'/').rev().for_each(|part| ahead.push_front(part));
            }
        }
    }
    End::Found
}

/// Where in the directory `to` an absolute link leads, if there. Of the image's root nothing is said: most of what
/// it has comes from other layers.
fn inside<'p>(target: &'p [u8], to: &[u8]) -> Option<&'p [u8]> {
    if to.is_empty() { None } else { below(target.strip_prefix(b"/")?, to) }
}

/// `path` taken from the directory `to`, when it is that or below.
fn below<'p>(path: &'p [u8], to: &[u8]) -> Option<&'p [u8]> {
    if to.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(to)? {
        b"" => Some(b""),
        rest => rest.strip_prefix(b"/"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::source::directory::collect;
    use crate::source::ignore::Ignore;

    /// The warnings about a source with these links, the files `a` and `d/b` and the ignored file `out`.
    fn warnings(to: &str, links: &[(&str, &str)]) -> Vec<Warning> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        for file in ["a", "d/b", "out"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        for (link, target) in links {
            let target = target.replace("ROOT", root.path().to_str().unwrap());
            symlink(target, root.path().join(link)).unwrap();
        }
        let ignore = Ignore::parse(b"out", Path::new("i")).unwrap();
        let mut warnings = Vec::new();
        let prefix = root.path().to_owned();
        let short = |path: PathBuf| path.strip_prefix(&prefix).map(Path::to_owned).unwrap_or(path);
        let tree = collect(root.path(), to.as_bytes(), &ignore, 2).unwrap();
        check(&tree, root.path(), to.as_bytes(), &mut |warning| {
            warnings.push(match warning {
                Warning::Dangles { link, target } => Warning::Dangles { link: short(link), target },
                Warning::Leaves { link, target } => Warning::Leaves { link: short(link), target },
                Warning::IntoSource { link, target } => {
                    Warning::IntoSource { link: short(link), target: short(target) }
                }
            });
        });
        warnings
    }

    #[test]
    fn links_that_work_in_the_image_are_fine() {
        let fine = [
            ("l", "a"),
            ("d/up", "../a"),
            ("d/round", "../d/../d/./b"),
            ("dir", "d"),
            ("through", "dir/b"),
            ("chain", "through"),
            ("d/self", "."),
            ("top", "d/.."),
            ("slash", "d/"),
            ("elsewhere", "/opt/lib/x"),
            ("over", "elsewhere/y"),
            ("absolute", "/var/task/d/b"),
            ("d/deep", "/var/task/d/b"),
            ("of", "/var/task"),
        ];
        assert_eq!(warnings("var/task", &fine), []);
        assert_eq!(warnings("", &[("l", "/opt/x"), ("over", "l/y"), ("d/up", "../a"), ("d/dir", "..")]), []);
    }

    #[test]
    fn dangling_links_are_named_with_their_target() {
        for (link, target) in [
            ("l", "none"),
            ("l", "out"),
            ("d/l", "a"),
            ("l", "a/"),
            ("l", "a/b"),
            ("l", "/var/task/none"),
            ("l", "l"),
            ("l", "d/none/../b"),
        ] {
            let dangles = Warning::Dangles { link: link.into(), target: target.into() };
            assert_eq!(warnings("var/task", &[(link, target)]), [dangles]);
        }
        let loops = warnings("var/task", &[("x", "y"), ("y", "x")]);
        assert_eq!(loops.len(), 2, "{loops:?}");
    }

    #[test]
    fn links_out_of_the_source_are_named() {
        for (to, link, target) in [("var/task", "l", "../x"), ("t", "d/l", "../../t/a"), ("", "l", "..")] {
            let leaves = Warning::Leaves { link: link.into(), target: target.into() };
            assert_eq!(warnings(to, &[(link, target)]), [leaves]);
        }
    }

    #[test]
    fn links_by_this_machines_paths_are_named() {
        let into = Warning::IntoSource { link: "l".into(), target: "a".into() };
        assert_eq!(warnings("var/task", &[("l", "ROOT/a")]), std::slice::from_ref(&into));
        assert_eq!(warnings("", &[("l", "ROOT/a")]), [into]);
    }

    #[test]
    fn a_warning_names_link_and_place() {
        let warning = Warning::Dangles { link: "src/l".into(), target: "x".into() };
        assert_eq!(warning.to_string(), "the symlink src/l leads to x, which is not in the source");
    }
}
