//! Lock files: which one there is, what of it decides `node_modules`, and which files of the function it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::yarn;
use crate::error::{Error, Result};

/// The programs that install what a lock file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Npm,
    Pnpm,
    /// yarn 1, whose locks are of a format of their own.
    Yarn,
    /// yarn from version 2 on, another program.
    Berry,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
            Tool::Yarn | Tool::Berry => "yarn",
        }
    }

    /// What npm installs it from.
    pub(super) fn package(self) -> &'static str {
        match self {
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
            Tool::Yarn => "yarn@1",
            Tool::Berry => "@yarnpkg/cli-dist",
        }
    }
}

/// The lock files, the first of which that exists counts, as npm has it.
const FILES: [&str; 4] = ["npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"];

/// A lock file.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) tool: Tool,
    pub(super) path: PathBuf,
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// What of it decides the installed files: another version of the function, or of a package for development,
    /// does not.
    pub(super) decisive: Vec<u8>,
    /// What it names of the function's own files, by paths from the function's directory.
    pub(super) local: BTreeMap<String, Local>,
}

/// What a lock file names of the function's own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Local {
    /// A package that stays where it is, with a link to it.
    Workspace,
    /// A package, as a directory or an archive, that is copied.
    Package,
    /// One of these that is only for development.
    Unused,
}

/// The name of the file in `dir`.
pub(super) fn find(dir: &Path) -> Result<&'static str> {
    let found = FILES.into_iter().find(|name| dir.join(name).is_file());
    found.ok_or_else(|| Error::NoLock { path: dir.to_owned() })
}

impl Lock {
    pub(super) fn read(dir: &Path) -> Result<Lock> {
        let name = find(dir)?;
        let path = dir.join(name);
        let bytes = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let (tool, (decisive, local)) = match name {
            "pnpm-lock.yaml" => (Tool::Pnpm, pnpm(&bytes, &path)?),
            "yarn.lock" => yarn::read(dir, &bytes, &path)?,
            _ => (Tool::Npm, npm(&bytes, &path)?),
        };
        for (place, local) in &local {
            if *local != Local::Unused {
                inside(dir, place, &path)?;
            }
        }
        Ok(Lock { tool, path, name, bytes, decisive, local })
    }
}

pub(super) type Contents = (Vec<u8>, BTreeMap<String, Local>);

/// <https://docs.npmjs.com/cli/configuring-npm/package-lock-json>
fn npm(bytes: &[u8], path: &Path) -> Result<Contents> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let mut lock: Value = serde_json::from_slice(bytes).map_err(|error| fail(error.to_string()))?;
    let object = lock.as_object_mut().ok_or_else(|| fail("it is no JSON object".into()))?;
    for own in ["name", "version"] {
        object.remove(own);
    }
    let mut local = BTreeMap::new();
    if let Some(packages) = object.get_mut("packages").and_then(Value::as_object_mut) {
        local = locals(packages);
        packages.retain(|_, package| package["dev"] != true);
        if let Some(function) = packages.get_mut("").and_then(Value::as_object_mut) {
            let decides = ["dependencies", "optionalDependencies", "peerDependencies", "workspaces"];
            function.retain(|key, _| decides.contains(&key.as_str()));
        }
        // The same once more, for npm 6.
        object.remove("dependencies");
    } else if object.get("dependencies").is_some_and(names_files) {
        return Err(fail("it names files in the format of npm 6: run `npm install` with a newer one".into()));
    }
    Ok((lock.to_string().into_bytes(), local))
}

/// What of the packages is the function's own.
fn locals(packages: &serde_json::Map<String, Value>) -> BTreeMap<String, Local> {
    let own = |package: &Value| {
        let resolved = package["resolved"].as_str()?;
        let archive = resolved.strip_prefix("file:");
        let link = package["link"] == true;
        (link || archive.is_some()).then(|| (archive.unwrap_or(resolved).to_owned(), link))
    };
    // A directory that some package asks for as a file is copied, all others are workspaces.
    let last =
        |path: &str| path.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    let kinds = ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"];
    let asked = packages.values().flat_map(|package| kinds.map(|kind| &package[kind]));
    let asked: Vec<String> = asked
        .filter_map(Value::as_object)
        .flat_map(|asked| asked.values().filter_map(Value::as_str))
        .filter(|version| version.starts_with("file:"))
        .map(last)
        .collect();
    let mut found = BTreeMap::new();
    for package in packages.values() {
        let Some((path, link)) = own(package) else { continue };
        let local = match package["dev"] == true {
            true => Local::Unused,
            false if link && !asked.contains(&last(&path)) => Local::Workspace,
            false => Local::Package,
        };
        let path = path.trim_end_matches('/').to_owned();
        let kept = found.entry(path).or_insert(local);
        if *kept == Local::Unused {
            *kept = local;
        }
    }
    found
}

/// Whether a lock of npm 6 names a file anywhere.
fn names_files(dependencies: &Value) -> bool {
    dependencies.as_object().is_some_and(|packages| {
        packages.values().any(|package| {
            let file = package["version"].as_str().is_some_and(|version| version.starts_with("file:"));
            file || names_files(&package["dependencies"])
        })
    })
}

/// Of pnpm's lock only so much is understood as to know that it names nothing of the function's own.
fn pnpm(bytes: &[u8], path: &Path) -> Result<Contents> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let text = std::str::from_utf8(bytes).map_err(|_| fail("it is no UTF-8".into()))?;
    let mut section = "";
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            section = line.trim_end();
        }
        let own = ["link:", "file:", "workspace:", "patch_hash="];
        // `file:lib/a` is meant, and no key with a value behind it.
        let names = |own: &&str| {
            line.split_once(*own).is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with(' '))
        };
        let another = section == "importers:"
            && line
                .strip_prefix("  ")
                .is_some_and(|name| !name.starts_with([' ', '.']) || name.starts_with("./"));
        if another || own.iter().any(names) || line.trim_end().ends_with("type: directory}") {
            let fault = format!(
                "`{}`: of pnpm's locks, lbuild takes those whose packages are all from registries",
                line.trim()
            );
            return Err(fail(fault));
        }
    }
    Ok((bytes.to_vec(), BTreeMap::new()))
}

/// Fails for a path that leads out of the function's directory, or to nothing.
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
    // The function's directory itself is nothing to be put into it.
    if found == root || !found.starts_with(&root) {
        return Err(outside());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(lock: &Value) -> Contents {
        npm(lock.to_string().as_bytes(), Path::new("package-lock.json")).unwrap()
    }

    fn lock(version: &str, package: &str, development: &str) -> Value {
        json!({ "name": "f", "version": version, "lockfileVersion": 3, "packages": {
            "": { "version": version, "dependencies": { "a": "^1" }, "devDependencies": { "d": development } },
            "node_modules/a": { "version": package },
            "node_modules/d": { "version": development, "dev": true },
        } })
    }

    #[test]
    fn only_what_is_installed_decides() {
        let first = read(&lock("1.0.0", "1.0.0", "2.0.0"));
        assert_eq!(first, read(&lock("1.0.1", "1.0.0", "2.0.1")));
        assert_ne!(first, read(&lock("1.0.0", "1.0.1", "2.0.0")));
    }

    #[test]
    fn what_is_the_functions_own_is_found() {
        let (_, local) = read(&json!({ "packages": {
            "": { "workspaces": ["packages/*"], "dependencies": { "b": "file:lib/b", "c": "file:c.tgz" } },
            "lib/b": {},
            "node_modules/a": { "resolved": "packages/a", "link": true },
            "node_modules/b": { "resolved": "lib/b", "link": true },
            "node_modules/c": { "resolved": "file:c.tgz" },
            "node_modules/d": { "resolved": "../d", "link": true, "dev": true },
        } }));
        let expected = [
            ("../d", Local::Unused),
            ("c.tgz", Local::Package),
            ("lib/b", Local::Package),
            ("packages/a", Local::Workspace),
        ];
        assert_eq!(local, expected.map(|(path, local)| (path.to_owned(), local)).into());
    }

    #[test]
    fn a_lock_of_pnpm_names_packages_of_registries_only() {
        let read = |text: &str| pnpm(text.as_bytes(), Path::new("pnpm-lock.yaml")).map(drop);
        read("settings:\n  excludeLinksFromLockfile: false\nimporters:\n\n  .:\n    dependencies:\n      a:\n\npackages:\n\n  a@1:\n").unwrap();
        for own in [
            "importers:\n  .:\n  packages/a:\n",
            "importers:\n  .:\n    dependencies:\n      a:\n        version: link:a\n",
            "packages:\n  b@file:b:\n    resolution: {directory: b, type: directory}\n",
        ] {
            read(own).unwrap_err();
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
