//! The lock file of a function.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::contents::{Contents, Local};
use super::{npm, pnpm, yarn};
use crate::error::{Error, Result};
use crate::source::node::package_json;
use crate::source::node::tool::Tool;
use crate::source::text;

/// The lock files. The first that exists is read, as with npm.
const FILES: [&str; 4] = ["npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"];

/// A lock file.
#[derive(Debug)]
pub(in crate::source::node) struct Lock {
    pub(in crate::source::node) tool: Tool,
    pub(in crate::source::node) path: PathBuf,
    pub(in crate::source::node) name: &'static str,
    pub(in crate::source::node) bytes: Vec<u8>,
    /// The content that determines the installed files: without the function's version and development packages.
    pub(in crate::source::node) decisive: Vec<u8>,
    /// The function's own files that the lock file names, by path relative to the function's directory.
    pub(in crate::source::node) local: BTreeMap<String, Local>,
}

/// The name of the lock file in `dir`.
pub(in crate::source::node) fn find(dir: &Path) -> Result<&'static str> {
    let path = dir.to_owned();
    lock_in(dir).ok_or_else(|| match above(dir) {
        Some(lock) => Error::WorkspaceLock { path, lock },
        None => Error::NoLock { path },
    })
}

fn lock_in(dir: &Path) -> Option<&'static str> {
    FILES.into_iter().find(|name| dir.join(name).is_file())
}

/// The lock file of the workspace root above `dir`. Package managers write none for the workspaces themselves.
fn above(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?.canonicalize().ok()?;
    let is_root = |dir: &&Path| {
        dir.join("pnpm-workspace.yaml").is_file()
            || package_json::read(dir).is_ok_and(|package| package.get("workspaces").is_some())
    };
    let root = dir.ancestors().skip(1).find(is_root)?;
    Some(root.join(lock_in(root)?))
}

impl Lock {
    /// Reads the lock file of the directory.
    pub(in crate::source::node) fn read(dir: &Path) -> Result<Lock> {
        let name = find(dir)?;
        let path = dir.join(name);
        let bytes = text::read(&path)?.into_bytes();
        let (tool, Contents { decisive, local }) = match name {
            "pnpm-lock.yaml" => (Tool::Pnpm, pnpm::read(&bytes, &path)?),
            "yarn.lock" => yarn::read(dir, &bytes, &path)?,
            _ => (Tool::Npm, npm::read(&bytes, &path)?),
        };
        for (place, local) in &local {
            if *local != Local::Unused {
                inside(dir, place, &path)?;
            }
        }
        Ok(Lock { tool, path, name, bytes, decisive, local })
    }
}

/// Fails for a path that leads out of the function's directory or does not exist.
fn inside(dir: &Path, place: &str, lock: &Path) -> Result<()> {
    let outside = || Error::OutsidePath { lock: lock.to_owned(), place: place.to_owned() };
    let relative = Path::new(place);
    let mut depth = 0_i32;
    for part in relative.components() {
        match part {
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Err(outside()),
        }
    }
    let real =
        |path: &Path| path.canonicalize().map_err(|source| Error::Read { path: path.to_owned(), source });
    let (root, found) = (real(dir)?, real(&dir.join(relative))?);
    // The function's directory cannot be a package within itself.
    if found == root || !found.starts_with(&root) {
        return Err(outside());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_windows_tools_are_read_like_any_other() {
        let read = |encode: &dyn Fn(&str) -> Vec<u8>, name: &str, lock: &str| {
            let dir = tempfile::tempdir().unwrap();
            let package = r#"{ "dependencies": { "a": "^1" } }"#;
            for (name, text) in [(name, lock), ("package.json", package), (".npmrc", "omit=optional\n")] {
                std::fs::write(dir.path().join(name), encode(text)).unwrap();
            }
            let lock = Lock::read(dir.path()).unwrap();
            let package = package_json::decisive(dir.path(), false).unwrap();
            (lock.bytes, lock.decisive, package, crate::source::node::npmrc::decisive(dir.path()))
        };
        for (name, lock) in [
            ("package-lock.json", r#"{ "packages": { "node_modules/a": { "version": "1.0.0" } } }"#),
            ("yarn.lock", "a@^1:\n  version \"1.0.0\"\n"),
            ("pnpm-lock.yaml", "packages:\n\n  a@1:\n"),
        ] {
            let plain = read(&|text| text.as_bytes().to_vec(), name, lock);
            assert_eq!(plain.3, ["omit=optional"]);
            let marked = |text: &str| format!("\u{feff}{text}");
            assert_eq!(read(&|text| marked(text).into_bytes(), name, lock), plain, "{name}");
            let utf_16 = |text: &str| marked(text).encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(read(&utf_16, name, lock), plain, "{name}");
        }
    }

    #[test]
    fn the_lock_of_a_workspace_is_found_above_it() {
        for (lock, mark, content, command) in [
            ("package-lock.json", "package.json", r#"{ "workspaces": ["fns/*"] }"#, "npm install"),
            (
                "yarn.lock",
                "package.json",
                "\u{feff}{ \"workspaces\": { \"packages\": [\"fns/*\"] } }",
                "yarn install",
            ),
            ("pnpm-lock.yaml", "pnpm-workspace.yaml", "packages: [fns/*]", "pnpm install"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let function = dir.path().join("fns/a");
            std::fs::create_dir_all(&function).unwrap();
            std::fs::write(dir.path().join(lock), "{}").unwrap();
            assert!(matches!(find(&function), Err(Error::NoLock { .. })), "{lock} of another project");
            std::fs::write(dir.path().join(mark), content).unwrap();
            let error = find(&function).unwrap_err();
            assert!(error.to_string().contains(&format!("/{lock}")), "{error}");
            assert!(error.hint().unwrap().contains(command), "{error}");
            std::fs::write(function.join(lock), "{}").unwrap();
            assert_eq!(find(&function).unwrap(), lock);
        }
    }

    #[test]
    fn a_path_out_of_the_function_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let function = dir.path().join("f");
        std::fs::create_dir_all(function.join("lib/b")).unwrap();
        std::fs::create_dir(dir.path().join("x")).unwrap();
        std::os::unix::fs::symlink("../x", function.join("x")).unwrap();
        let check = |place| inside(&function, place, Path::new("lock"));
        check("lib/b").unwrap();
        check("lib/../lib/b").unwrap();
        for outside in ["../x", "lib/../../f/lib", "/etc", "x", "lib/.."] {
            assert!(matches!(check(outside), Err(Error::OutsidePath { .. })), "{outside}");
        }
        assert!(matches!(check("none"), Err(Error::Read { .. })));
    }
}
