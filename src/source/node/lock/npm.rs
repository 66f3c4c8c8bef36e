//! `package-lock.json` and `npm-shrinkwrap.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::contents::{Contents, Local};
use crate::error::{Error, Result};

/// Reads a lock file of npm. <https://docs.npmjs.com/cli/configuring-npm/package-lock-json>
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Contents> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let mut lock: Value = serde_json::from_slice(bytes).map_err(|error| fail(error.to_string()))?;
    let object = lock.as_object_mut().ok_or_else(|| fail("it is not a JSON object".into()))?;
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
        // These repeat the packages for npm 6.
        object.remove("dependencies");
    } else if object.get("dependencies").is_some_and(names_files) {
        return Err(fail("it names files in the format of npm 6: run `npm install` with a newer npm".into()));
    }
    Ok(Contents { decisive: lock.to_string().into_bytes(), local })
}

/// The packages that are the function's own files.
fn locals(packages: &serde_json::Map<String, Value>) -> BTreeMap<String, Local> {
    let own = |package: &Value| {
        let resolved = package["resolved"].as_str()?;
        let archive = resolved.strip_prefix("file:");
        let link = package["link"] == true;
        (link || archive.is_some()).then(|| (archive.unwrap_or(resolved).to_owned(), link))
    };
    // A directory that a package requires with `file:` is copied; every other directory is a workspace.
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

/// Whether a lock file of npm 6 refers to files anywhere.
fn names_files(dependencies: &Value) -> bool {
    dependencies.as_object().is_some_and(|packages| {
        packages.values().any(|package| {
            let file = package["version"].as_str().is_some_and(|version| version.starts_with("file:"));
            file || names_files(&package["dependencies"])
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contents(lock: &Value) -> Contents {
        read(lock.to_string().as_bytes(), Path::new("package-lock.json")).unwrap()
    }

    fn lock(version: &str, package: &str, development: &str) -> Value {
        json!({ "name": "f", "version": version, "lockfileVersion": 3, "packages": {
            "": { "version": version, "dependencies": { "a": "^1" }, "devDependencies": { "d": development } },
            "node_modules/a": { "version": package },
            "node_modules/d": { "version": development, "dev": true },
        } })
    }

    #[test]
    fn only_installed_packages_affect_the_content() {
        let first = contents(&lock("1.0.0", "1.0.0", "2.0.0"));
        assert_eq!(first, contents(&lock("1.0.1", "1.0.0", "2.0.1")));
        assert_ne!(first, contents(&lock("1.0.0", "1.0.1", "2.0.0")));
    }

    #[test]
    fn the_functions_own_packages_are_found() {
        let Contents { local, .. } = contents(&json!({ "packages": {
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
}
