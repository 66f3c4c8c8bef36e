//! A directory, or a single file, as a [`FileTree`].
//!
//! The walk reads names and metadata only. Contents are read when the layer is written, and unchanged contents are not
//! read at all. Permissions, owners and times of the tree do not depend on the checkout: files are 0644, or 0755 when
//! any execute bit is set, and directories 0755. Symlinks stay symlinks, and hard links become separate files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::walk::{Pending, Walk, special};
use crate::error::{Error, Result};
use crate::source::ignore::Ignore;
use crate::tree::{Content, Entry, FileTree, SourceFile, Stat};

/// Collects the directory `root`, without the paths that `ignore` excludes, as the image directory `to` (`var/task`;
/// slashes at its start and end are dropped).
///
/// `root` may also be a single file; no pattern applies to it. It becomes the file `to`, or, when `to` ends in
/// a slash, a file of the same name in the directory `to`, as with Docker's `COPY`. If `root` itself is a symlink, it
/// is followed; symlinks below `root` never are.
///
/// The tree holds `to` and everything below it, but not the parents of `to`. It holds an ignored directory if an
/// exception brings back a path below it. `jobs` threads share the work; the result does not depend on their number.
///
/// # Errors
/// When `root` does not exist, a directory cannot be read, or the walk finds a socket, named pipe or device. If several
/// paths fail, the error names the first in path order.
pub fn collect(root: &Path, to: &[u8], ignore: &Ignore, jobs: usize) -> Result<FileTree> {
    let metadata = fs::metadata(root).map_err(|source| Error::Read { path: root.to_owned(), source })?;
    if !metadata.is_dir() {
        return FileTree::of([(file_destination(root, to), entry_of_file(root, &metadata)?)]);
    }
    let walk = Walk::new(root, trim_slashes(to), ignore);
    let found = walk.run(walk.top(), jobs)?;
    let top = (!walk.to.is_empty()).then(|| (walk.to.clone(), Entry::directory()));
    FileTree::of(top.into_iter().chain(found))
}

/// The entries below the directory `real` of `root`, by their paths in it. The path has no links. Files have the modes
/// that they have on the disk.
///
/// # Errors
/// As [`collect`].
pub fn collect_below(
    root: &Path,
    real: &[u8],
    ignore: &Ignore,
    jobs: usize,
) -> Result<Vec<(Vec<u8>, Entry)>> {
    let walk = Walk::new(root, b"", ignore).with_real_modes();
    let verdict = if real.is_empty() { Ignore::ROOT } else { ignore.verdict(real) };
    let mut found = walk.run(Pending { path: real.to_vec(), verdict }, jobs)?;
    let start = if real.is_empty() { 0 } else { real.len() + 1 };
    found.iter_mut().for_each(|(path, _)| drop(path.drain(..start)));
    Ok(found)
}

/// The entry of a single file, which may be a link to one, with the mode that it has on the disk.
///
/// # Errors
/// When it does not exist, or is a socket, named pipe or device.
pub fn single_file(path: &Path) -> Result<Entry> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(Entry { mode: metadata.mode() & 0o7777, ..entry_of_file(path, &metadata)? })
}

/// Whether [`collect`] would put an entry at the image path `path` (`var/task/app.py`), found without a walk.
///
/// A path below a symlink is never found: the tree holds the link, not the files of its target.
pub fn provides(root: &Path, to: &[u8], ignore: &Ignore, path: &[u8]) -> bool {
    let path = trim_slashes(path);
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(metadata) => return metadata.is_file() && path == file_destination(root, to),
        Err(_) => return false,
    }
    let walk = Walk::new(root, trim_slashes(to), ignore);
    if path == walk.to {
        return true;
    }
    let Some(relative) = walk.relative(path) else { return false };
    let kind = |relative: &[u8]| walk.source(relative).symlink_metadata().map(|m| m.file_type());
    let mut parents = (0..relative.len()).filter(|&i| relative[i] == b'/');
    if !parents.all(|end| kind(&relative[..end]).is_ok_and(|kind| kind.is_dir())) {
        return false;
    }
    let verdict = ignore.verdict(relative);
    match kind(relative) {
        Ok(kind) if kind.is_dir() && ignore.ignores(verdict) => {
            !ignore.can_prune(verdict, relative)
                && walk.run(Pending { path: path.to_vec(), verdict }, 1).is_ok_and(|found| !found.is_empty())
        }
        Ok(kind) => (kind.is_dir() || kind.is_file() || kind.is_symlink()) && !ignore.ignores(verdict),
        Err(_) => false,
    }
}

/// The image path of a single file.
fn file_destination(root: &Path, to: &[u8]) -> Vec<u8> {
    let directory = trim_slashes(to);
    match root.file_name() {
        Some(name) if directory.is_empty() => name.as_bytes().to_vec(),
        Some(name) if to.ends_with(b"/") => [directory, name.as_bytes()].join(&b'/'),
        _ => directory.to_vec(),
    }
}

fn entry_of_file(path: &Path, metadata: &fs::Metadata) -> Result<Entry> {
    let kind = metadata.file_type();
    if !kind.is_file() {
        return Err(special(path.to_owned(), rustix::fs::FileType::from_raw_mode(metadata.mode() as _)));
    }
    let file = SourceFile { path: path.to_owned(), stat: Stat::from(metadata), sha256: None, lasting: false };
    Ok(Entry::file(Content::File(file), metadata.mode() & 0o111 != 0))
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    let end = path.iter().rposition(|&b| b != b'/').map_or(start, |last| last + 1);
    &path[start..end]
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::*;
    use crate::tree::EntryKind;

    /// A directory with these files. Each file holds its own path; a path that ends in a slash is a directory.
    fn source(paths: &[&str]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            let file = root.path().join(path);
            if path.ends_with('/') {
                fs::create_dir_all(&file).unwrap();
            } else {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, path).unwrap();
            }
        }
        root
    }

    fn ignoring(text: &str) -> Ignore {
        Ignore::parse(text.as_bytes(), Path::new(".lambdaignore")).unwrap()
    }

    fn tree(root: &Path, to: &str, ignore: &Ignore) -> FileTree {
        collect(root, to.as_bytes(), ignore, 2).unwrap()
    }

    /// The tree as text: one path per entry, with a mark for its kind.
    fn listing(tree: &FileTree) -> Vec<String> {
        let line = |(path, entry): (&[u8], &Entry)| {
            let path = path.escape_ascii();
            match &entry.kind {
                EntryKind::Directory => format!("{path}/"),
                EntryKind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
                EntryKind::File(_) if entry.mode == 0o755 => format!("{path}*"),
                EntryKind::File(_) => path.to_string(),
                other => panic!("{other:?}"),
            }
        };
        tree.iter().map(line).collect()
    }

    #[test]
    fn a_directory_becomes_an_image_directory() {
        let root = source(&["app.py", "lib/a.py", "lib-x", "empty/"]);
        let expected = ["t", "t/app.py", "t/empty", "t/lib", "t/lib-x", "t/lib/a.py"];
        for to in ["t", "/t/"] {
            let tree = tree(root.path(), to, &Ignore::none());
            let paths: Vec<_> = tree.iter().map(|(path, _)| std::str::from_utf8(path).unwrap()).collect();
            assert_eq!(paths, expected);
        }
        for to in ["", "/"] {
            let tree = tree(root.path(), to, &Ignore::none());
            assert_eq!(listing(&tree), ["app.py", "empty/", "lib/", "lib-x", "lib/a.py"]);
        }
        let tree = tree(root.path(), "t", &Ignore::none());
        let Some(EntryKind::File(Content::File(file))) = tree.get(b"t/lib/a.py").map(|entry| &entry.kind)
        else {
            panic!("not a file");
        };
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "lib/a.py");
        assert_eq!(file.stat, Stat::from(&fs::metadata(&file.path).unwrap()));
    }

    #[test]
    fn permissions_become_0644_or_0755() {
        let root = source(&["a", "b", "c", "d", "e/"]);
        for (name, mode) in [("a", 0o600), ("b", 0o4711), ("c", 0o666), ("d", 0o601), ("e", 0o1700)] {
            fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let tree = tree(root.path(), "t", &Ignore::none());
        let modes: Vec<_> = tree.iter().map(|(_, entry)| entry.mode).collect();
        assert_eq!(modes, [0o755, 0o644, 0o755, 0o644, 0o755, 0o755]);
    }

    #[test]
    fn symlinks_are_kept_and_not_followed() {
        let root = source(&["d/a"]);
        symlink("d", root.path().join("link")).unwrap();
        symlink(".", root.path().join("d/loop")).unwrap();
        fs::hard_link(root.path().join("d/a"), root.path().join("hard")).unwrap();
        let expected = ["t/", "t/d/", "t/d/a", "t/d/loop -> .", "t/hard", "t/link -> d"];
        assert_eq!(listing(&tree(root.path(), "t", &Ignore::none())), expected);
        // A root that is a symlink is followed.
        let through = tree(&root.path().join("link"), "t", &Ignore::none());
        assert_eq!(listing(&through), ["t/", "t/a", "t/loop -> ."]);
    }

    #[test]
    fn names_may_have_any_bytes() {
        let root = source(&[]);
        for name in [&b"\xff\xfe"[..], b"new\nline", b" ", b"\\"] {
            fs::write(root.path().join(OsStr::from_bytes(name)), "").unwrap();
        }
        let tree = tree(root.path(), "t", &Ignore::none());
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [&b"t"[..], b"t/ ", b"t/\\", b"t/new\nline", b"t/\xff\xfe"]);
        assert!(provides(root.path(), b"t", &Ignore::none(), b"t/\xff\xfe"));
    }

    #[test]
    fn ignored_directories_are_left_out_with_their_files() {
        let root = source(&["a/x", "a/y/z", "b/x", ".git/HEAD", "b/.git", "lbuild.toml", ".lambdaignore"]);
        let tree = tree(root.path(), "t", &ignoring("a"));
        assert_eq!(listing(&tree), ["t/", "t/b/", "t/b/x"]);
    }

    #[test]
    fn an_ignored_directory_is_kept_for_files_that_are_brought_back() {
        let root = source(&["a/b/c", "a/b/d", "a/b-c/d", "a/e/f", "g/h", "a-/b"]);
        let kept = |text: &str| listing(&tree(root.path(), "t", &ignoring(text)));
        assert_eq!(kept("*\n!a/b/c"), ["t/", "t/a/", "t/a/b/", "t/a/b/c"]);
        assert_eq!(kept("**\n!**/c"), ["t/", "t/a/", "t/a/b/", "t/a/b/c"]);
        assert_eq!(kept("*\n!a/e"), ["t/", "t/a/", "t/a/e/", "t/a/e/f"]);
        assert_eq!(kept("*\n!a/none"), ["t/"]);
        assert_eq!(kept("*\n!a/none\n!a-"), ["t/", "t/a-/", "t/a-/b"]);
    }

    #[test]
    fn the_tree_does_not_depend_on_the_number_of_jobs() {
        let names: Vec<String> = (0..300).map(|i| format!("{}/{}/{i}", i % 7, i % 31)).collect();
        let root = source(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let with = |jobs| {
            let tree = collect(root.path(), b"t", &ignoring("3\n!3/4"), jobs).unwrap();
            listing(&tree)
        };
        let one = with(1);
        assert!(one.contains(&"t/3/4/66".to_owned()) && !one.iter().any(|line| line.starts_with("t/3/5/")));
        assert_eq!([with(0), with(2), with(8)], [one.clone(), one.clone(), one]);
        let sockets: Vec<_> = (0..30).map(|i| root.path().join(format!("{}/{i}/s", i % 7))).collect();
        let _listeners: Vec<_> = sockets.iter().map(|path| UnixListener::bind(path).unwrap()).collect();
        for _ in 0..20 {
            let error = collect(root.path(), b"t", &Ignore::none(), 8).unwrap_err();
            assert!(matches!(error, Error::SpecialFile { path, .. } if path == sockets[0]), "not the first");
        }
    }

    #[test]
    fn a_socket_is_an_error_unless_ignored() {
        let root = source(&["d/a"]);
        let sockets = ["z.sock", "d/b.sock"].map(|name| root.path().join(name));
        let _listeners = sockets.each_ref().map(|path| UnixListener::bind(path).unwrap());
        let error = collect(root.path(), b"t", &Ignore::none(), 2).unwrap_err();
        let expected = format!("{} is a socket, which an image cannot hold", sockets[1].display());
        assert_eq!(error.to_string(), expected, "the first by path");
        assert_eq!(listing(&tree(root.path(), "t", &ignoring("**/*.sock"))), ["t/", "t/d/", "t/d/a"]);
        assert!(!provides(root.path(), b"t", &Ignore::none(), b"t/z.sock"));
        let error = collect(&sockets[0], b"t", &Ignore::none(), 1).unwrap_err();
        assert!(matches!(error, Error::SpecialFile { kind: "socket", .. }));
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let none = Path::new("/nonexistent/source");
        let error = collect(none, b"t", &Ignore::none(), 2).unwrap_err();
        assert!(matches!(error, Error::Read { path, .. } if path == none));
        let root = source(&["d/e/f"]);
        let closed = root.path().join("d/e");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        // As root, every directory is readable.
        if fs::read_dir(&closed).is_err() {
            let error = collect(root.path(), b"t", &Ignore::none(), 2).unwrap_err();
            assert!(matches!(error, Error::Read { path, .. } if path == closed));
            assert_eq!(listing(&tree(root.path(), "t", &ignoring("d/e"))), ["t/", "t/d/"]);
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_single_file_gets_the_path_that_copy_would_give_it() {
        let root = source(&["run.sh"]);
        let file = root.path().join("run.sh");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        let ignore = ignoring("*");
        for (to, path) in [("opt/x", "opt/x"), ("/opt/", "opt/run.sh"), ("/", "run.sh"), ("", "run.sh")] {
            assert_eq!(listing(&tree(&file, to, &ignore)), [format!("{path}*")]);
            assert!(provides(&file, to.as_bytes(), &ignore, path.as_bytes()));
            assert!(!provides(&file, to.as_bytes(), &ignore, b"opt"));
        }
        symlink("run.sh", root.path().join("link")).unwrap();
        assert_eq!(listing(&tree(&root.path().join("link"), "opt/", &ignore)), ["opt/link*"]);
    }

    #[test]
    fn provides_agrees_with_the_tree() {
        let root = source(&["a/b/c", "a/b/d", "e/f/g", "h", "t", "b/.git/x"]);
        symlink("a", root.path().join("link")).unwrap();
        let ask =
            ["", "t", "t/", "/t/h", "t/a", "t/a/b", "t/a/b/c", "t/a/b/d", "t/e", "t/e/f", "t/e/f/g", "t/h"];
        let more =
            ["t/link", "t/link/b", "t/h/x", "t/none", "t/t", "tt", "h", "t/b", "t/b/.git", "t/b/.git/x"];
        for text in ["", "*", "a", "a\n!a/b/c", "*\n!a/b", "**\n!**/g", "e\n!e/none", "link"] {
            let ignore = ignoring(text);
            let tree = collect(root.path(), b"t", &ignore, 1).unwrap();
            for path in ask.iter().chain(&more).map(|path| path.as_bytes()) {
                let expected = tree.get(trim_slashes(path)).is_some();
                assert_eq!(
                    provides(root.path(), b"t", &ignore, path),
                    expected,
                    "{text:?} {}",
                    path.escape_ascii()
                );
            }
        }
        assert!(provides(root.path(), b"", &Ignore::none(), b"a/b"));
        assert!(!provides(Path::new("/nonexistent"), b"t", &Ignore::none(), b"t"));
    }
}
