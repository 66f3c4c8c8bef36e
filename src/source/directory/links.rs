//! Finds symlinks that will not resolve in the image, by the tree and not by the files of the build machine.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::event::Events;
use crate::tree::{EntryKind, FileTree};

/// The number of symlinks that Linux follows in one path.
const MAX_LINKS: usize = 40;

/// A symlink that may not work in the image. It is a warning, not an error: another layer may contain its target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Warning {
    /// The target does not exist in the source, or the link leads to itself.
    Dangles { link: PathBuf, target: PathBuf },
    /// The link leads out of the source with `..`.
    Leaves { link: PathBuf, target: PathBuf },
    /// The link names the source by its path on this machine; that path does not exist in the image.
    IntoSource { link: PathBuf, target: PathBuf },
}

impl Warning {
    /// The text of the `hint:` line.
    fn hint(&self) -> &'static str {
        match self {
            Warning::Dangles { .. } => {
                "if no other layer has the target, replace the link, or add it to .lambdaignore; \
                 if an ignore file keeps the target out, bring it back with a `!` line"
            }
            Warning::Leaves { .. } => "copy its target into the source, or add the target with --add",
            Warning::IntoSource { .. } => "make it a relative link",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (link, target, fault) = match self {
            Warning::Dangles { link, target } => (link, target, "which is not in the source"),
            Warning::Leaves { link, target } => (link, target, "which is outside of the source"),
            Warning::IntoSource { link, target } => (link, target, "which exists on this machine only"),
        };
        write!(f, "the symlink {} leads to {}, {fault}", link.display(), target.display())
    }
}

/// Sends a warning to `events` for each symlink in `tree` that may not work in the image.
pub(in crate::source) fn warn_of_links(tree: &FileTree, root: &Path, to: &[u8], events: &Events) {
    check(tree, root, to, &mut |warning| events.warn(warning.to_string(), Some(warning.hint())));
}

/// Calls `warn` for these symlinks of `tree`, which was collected from `root` as the image directory `to`.
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

/// Follows the path `relative` through the tree as the kernel does, including links in its middle.
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
            // A path below a file does not resolve, not even `file/.`.
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
                        // The target is outside `to`, so this tree does not show whether it exists.
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

/// The path within the directory `to` that an absolute link leads to, if it leads there. `None` when `to` is the
/// image's root, because most files there come from other layers.
fn inside<'p>(target: &'p [u8], to: &[u8]) -> Option<&'p [u8]> {
    if to.is_empty() { None } else { below(target.strip_prefix(b"/")?, to) }
}

/// `path` relative to the directory `to`, if it is `to` or below it.
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
    fn links_that_work_in_the_image_cause_no_warning() {
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
    fn links_to_paths_of_this_machine_are_named() {
        let into = Warning::IntoSource { link: "l".into(), target: "a".into() };
        assert_eq!(warnings("var/task", &[("l", "ROOT/a")]), std::slice::from_ref(&into));
        assert_eq!(warnings("", &[("l", "ROOT/a")]), [into]);
    }

    #[test]
    fn a_warning_names_the_link_and_its_target() {
        let warning = Warning::Dangles { link: "src/l".into(), target: "x".into() };
        assert_eq!(warning.to_string(), "the symlink src/l leads to x, which is not in the source");
    }
}
