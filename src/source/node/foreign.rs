//! Removal of installed packages for other machines, for package managers that cannot leave them out.
//!
//! A package names its machines with `os`, `cpu` and `libc` in its package.json
//! (<https://docs.npmjs.com/cli/configuring-npm/package-json#os>). A package that needs one of several such packages
//! lists all of them as optional.

use std::collections::BTreeSet;

use serde_json::Value;

use super::machine::NodeMachine;
use crate::error::{Error, Result};
use crate::source::text;
use crate::tree::{Content, EntryKind, FileTree};

/// Removes packages for other machines, with their commands. `function` is the function's own package.json.
///
/// # Errors
/// When a remaining package requires a removed one.
pub(super) fn remove(tree: &mut FileTree, function: &[u8], machine: NodeMachine) -> Result<()> {
    let packages = packages(tree)?;
    let (kept, foreign): (Vec<_>, Vec<_>) =
        packages.into_iter().partition(|(_, package)| fits(package, machine));
    let function = serde_json::from_slice(function).unwrap_or_default();
    let needed: BTreeSet<&str> =
        kept.iter().map(|(_, package)| package).chain([&function]).flat_map(needs).collect();
    for (dir, package) in &foreign {
        let name = package["name"].as_str().unwrap_or_default();
        if needed.contains(name) {
            let file = format!("{}/package.json", String::from_utf8_lossy(dir));
            let named = ["os", "cpu", "libc"].map(|key| list(&package[key]).join(" or ")).join(" ");
            let (package, named) = (name.to_owned(), named.trim().to_owned());
            let wanted = machine.arch.as_str();
            return Err(Error::WrongMachine { file, package, machine: named, wanted });
        }
    }
    let dirs: Vec<&[u8]> = foreign.iter().map(|(dir, _)| dir.as_slice()).collect();
    let gone = |path: &[u8]| dirs.iter().any(|dir| below(path, dir));
    let paths: Vec<Vec<u8>> = tree
        .iter()
        .filter(|(path, entry)| match &entry.kind {
            EntryKind::Symlink(target) => gone(path) || gone(&leads_to(path, target)),
            _ => gone(path),
        })
        .map(|(path, _)| path.to_vec())
        .collect();
    for path in paths {
        tree.remove(&path);
    }
    Ok(())
}

/// The directories of the packages, each with its package.json.
pub(super) fn packages(tree: &FileTree) -> Result<Vec<(Vec<u8>, Value)>> {
    let mut found = Vec::new();
    for (path, entry) in tree.iter() {
        let (Some(dir), EntryKind::File(Content::File(file))) = (package(path), &entry.kind) else {
            continue;
        };
        let text = std::fs::read(&file.path);
        let text = text.map_err(|source| Error::Read { path: file.path.clone(), source })?;
        // A file that is not JSON does not restrict the machines.
        if let Ok(package) = serde_json::from_slice(&text::recoded(text).unwrap_or_default()) {
            found.push((dir.to_vec(), package));
        }
    }
    Ok(found)
}

/// The directory of the package whose package.json this is.
pub(super) fn package(path: &[u8]) -> Option<&[u8]> {
    let dir = path.strip_suffix(b"/package.json")?;
    let mut parts = dir.rsplit(|&b| b == b'/').skip(1);
    let parent = parts.next()?;
    let scoped = parent.starts_with(b"@") && parts.next() == Some(b"node_modules");
    (parent == b"node_modules" || scoped).then_some(dir)
}

fn below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The path that a link at `path` leads to.
fn leads_to(path: &[u8], target: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
    parts.pop();
    for part in target.split(|&b| b == b'/') {
        match part {
            b".." => drop(parts.pop()),
            b"." | b"" => {}
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn fits(package: &Value, machine: NodeMachine) -> bool {
    let allows = |key: &str, is: &str| {
        let (not, only): (Vec<&str>, Vec<&str>) =
            list(&package[key]).into_iter().partition(|value| value.starts_with('!'));
        let named = only.is_empty() || only.contains(&is) || only.contains(&"any");
        named && not.iter().all(|value| value.trim_start_matches('!') != is)
    };
    allows("os", "linux") && allows("cpu", machine.cpu()) && allows("libc", machine.libc())
}

/// The strings of a list; a single string counts as a list of one.
fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    }
}

/// The packages that this one requires.
fn needs(package: &Value) -> Vec<&str> {
    let names =
        |key: &str| package[key].as_object().into_iter().flat_map(|all| all.keys().map(String::as_str));
    let optional: BTreeSet<&str> = names("optionalDependencies").collect();
    names("dependencies").filter(|name| !optional.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Arch;
    use crate::source::directory;
    use crate::source::ignore::Ignore;

    /// The paths that remain of these packages and of a link.
    fn left(function: &str, packages: &[(&str, &str)]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        for (name, package) in packages {
            let place = dir.path().join(name);
            std::fs::create_dir_all(place.join("bin")).unwrap();
            std::fs::write(place.join("package.json"), package).unwrap();
        }
        std::fs::create_dir_all(dir.path().join(".bin")).unwrap();
        std::os::unix::fs::symlink("../a/bin", dir.path().join(".bin/a")).unwrap();
        let mut tree = directory::collect(dir.path(), b"node_modules", &Ignore::none(), 1).unwrap();
        remove(&mut tree, function.as_bytes(), NodeMachine { arch: Arch::Arm64, musl: false })?;
        let names = tree.iter().map(|(path, _)| String::from_utf8_lossy(path).into_owned());
        Ok(names.filter(|name| name.ends_with("package.json") || name.contains(".bin/")).collect())
    }

    #[test]
    fn only_packages_for_the_image_stay() {
        let user = r#"{ "name": "u", "dependencies": { "a": "1" }, "optionalDependencies": { "a": "1", "@s/b": "1" } }"#;
        let found = left(
            "{}",
            &[
                ("a", r#"{ "name": "a", "cpu": ["x64"] }"#),
                ("@s/b", r#"{ "name": "@s/b", "os": "linux", "cpu": ["arm64"], "libc": ["glibc"] }"#),
                ("@s/c", r#"{ "name": "@s/c", "libc": ["musl"] }"#),
                ("@s/c/node_modules/d", r#"{ "name": "d" }"#),
                ("e", r#"{ "name": "e", "os": ["!win32", "!linux"] }"#),
                ("f", r#"{ "name": "f", "os": ["!win32"], "cpu": ["any"] }"#),
                ("a-", "not JSON"),
                ("u", user),
            ],
        );
        let expected = ["@s/b", "a-", "f", "u"].map(|name| format!("node_modules/{name}/package.json"));
        assert_eq!(found.unwrap(), expected);
        assert_eq!(
            left("{}", &[("a", "{}")]).unwrap(),
            ["node_modules/.bin/a", "node_modules/a/package.json"]
        );
    }

    #[test]
    fn a_required_package_for_another_machine_is_an_error() {
        let packages = [("a", r#"{ "name": "a", "os": ["darwin"], "cpu": ["x64", "ia32"] }"#)];
        let error = left(r#"{ "dependencies": { "a": "*" } }"#, &packages).unwrap_err();
        let said = "node_modules/a/package.json of the package a is for darwin x64 or ia32, \
                    but the image is for arm64";
        assert_eq!(error.to_string(), said);
    }
}
