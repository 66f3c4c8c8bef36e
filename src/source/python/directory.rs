//! Packages that are directories of the user. They are built from a copy, as a source archive is, and identified by the
//! content of the directory: nothing of this machine's paths or times reaches the layer.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::Wheel;
use crate::source::address::file_path;
use crate::source::directory::collect;
use crate::source::ignore::Ignore;
use crate::source::local;
use crate::tree::{EntryKind, FileTree};

/// Part of every digest. Increase it with any change of the files that are copied.
const VERSION: &str = "directory-1";

/// Files that tools write beside a package. They are not part of it, and would change its digest with every use.
const NOT_PACKAGED: &[u8] = b"**/.git\n**/.hg\n**/.venv\n**/__pycache__\n**/*.egg-info\n**/.tox\n**/.nox\n\
    **/.mypy_cache\n**/.pytest_cache\n**/.ruff_cache\n**/node_modules\nbuild/lib\nbuild/bdist.*\ndist/*.whl\n\
    dist/*.tar.gz\n";

/// The digest of the package's content, and its number of bytes.
pub(super) fn identify(wheel: &str, url: &str, jobs: usize) -> Result<(Digest, u64)> {
    let mut tree = files(&place(wheel, url)?)?;
    let mut hash = Sha256::new();
    // Each part is preceded by its length, so that different lists never have the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(VERSION.as_bytes());
    local::content(&mut tree, jobs, &mut part)?;
    let sizes = tree.iter().map(|(_, entry)| match &entry.kind {
        EntryKind::File(content) => content.size(),
        _ => 0,
    });
    let size = sizes.sum();
    Ok((Digest::from_bytes(hash.finalize().into()), size))
}

/// Copies the package into the directory `to`.
///
/// # Errors
/// When its content is no longer that of the pinned digest.
pub(super) fn copy(wheel: &Wheel, to: &Path, jobs: usize) -> Result<()> {
    local::copy(&files(&place(&wheel.file, &wheel.url)?)?, to, None)?;
    let (now, _) = identify(&wheel.file, &wheel.url, jobs)?;
    match now == wheel.sha256 {
        true => Ok(()),
        false => Err(Error::Hash { file: wheel.file.clone(), fault: "its directory has changed".to_owned() }),
    }
}

fn place(file: &str, url: &str) -> Result<PathBuf> {
    file_path(url)
        .ok_or_else(|| Error::Address { file: file.to_owned(), fault: "its URL is not that of a directory" })
}

/// The package's files, without directories: an empty one is not part of a package. A link that leads out of the
/// directory is replaced by its target.
fn files(place: &Path) -> Result<FileTree> {
    let rules = Ignore::parse(NOT_PACKAGED, place)?;
    let mut tree = collect(place, b"", &rules, 1)?;
    let root = place.canonicalize().map_err(|source| Error::Read { path: place.to_owned(), source })?;
    let links = tree.iter().filter(|(_, entry)| matches!(entry.kind, EntryKind::Symlink(_)));
    let links: Vec<Vec<u8>> = links.map(|(path, _)| path.to_vec()).collect();
    for path in links {
        use std::os::unix::ffi::OsStrExt;
        let target = place.join(std::ffi::OsStr::from_bytes(&path)).canonicalize();
        // A link that leads nowhere, or to a directory that holds the package, stays as it is: the build fails if it
        // needs the file.
        if let Ok(target) = target
            && !target.starts_with(&root)
            && !root.starts_with(&target)
        {
            tree.remove(&path);
            tree.extend(collect(&target, &path, &rules, 1)?);
        }
    }
    FileTree::of(tree.into_iter().filter(|(_, entry)| !matches!(entry.kind, EntryKind::Directory)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn digest(dir: &Path) -> Digest {
        let url = crate::source::address::file_url(dir, "lib").unwrap() + "/";
        identify("lib/", &url, 1).unwrap().0
    }

    #[test]
    fn only_the_packages_own_files_decide() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("lib");
        let write = |path: &str, text: &str| {
            let path = lib.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("lib/a.py", "1");
        write("build/own.py", "1");
        let first = digest(dir.path());
        for made in [
            ".git/HEAD",
            "lib/__pycache__/a.pyc",
            "lib.egg-info/PKG-INFO",
            "build/lib/a.py",
            "dist/lib-1.whl",
        ] {
            write(made, "x");
            assert_eq!(digest(dir.path()), first, "{made}");
        }
        write("build/own.py", "2");
        assert_ne!(digest(dir.path()), first);
    }

    #[test]
    fn a_link_out_of_the_directory_becomes_its_target() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("lib")).unwrap();
        fs::create_dir_all(dir.path().join("common")).unwrap();
        fs::write(dir.path().join("common/c.py"), "1").unwrap();
        fs::write(dir.path().join("LICENSE"), "MIT").unwrap();
        std::os::unix::fs::symlink("../common", dir.path().join("lib/common")).unwrap();
        std::os::unix::fs::symlink("../LICENSE", dir.path().join("lib/LICENSE")).unwrap();
        std::os::unix::fs::symlink("LICENSE", dir.path().join("lib/COPYING")).unwrap();
        std::os::unix::fs::symlink("a.py", dir.path().join("lib/b.py")).unwrap();
        std::os::unix::fs::symlink("../..", dir.path().join("lib/above")).unwrap();
        fs::write(dir.path().join("lib/a.py"), "1").unwrap();
        let first = digest(dir.path());
        let url = crate::source::address::file_url(dir.path(), "lib").unwrap() + "/";
        let wheel = Wheel {
            name: "lib".to_owned(),
            version: "1".to_owned(),
            file: "lib-1/".to_owned(),
            url,
            sha256: first,
            size: 1,
            requested: true,
            direct: true,
        };
        let copied = tempfile::tempdir().unwrap();
        let to = copied.path().join("to");
        copy(&wheel, &to, 1).unwrap();
        assert_eq!(fs::read_to_string(to.join("common/c.py")).unwrap(), "1");
        for (path, is_link) in [("LICENSE", false), ("COPYING", false), ("b.py", true), ("above", true)] {
            assert_eq!(to.join(path).symlink_metadata().unwrap().is_symlink(), is_link, "{path}");
        }
        fs::write(dir.path().join("common/c.py"), "2").unwrap();
        let error = copy(&wheel, &copied.path().join("again"), 1).unwrap_err().to_string();
        assert!(error.contains("its directory has changed"), "{error}");
    }
}
