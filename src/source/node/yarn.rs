//! yarn: two programs of one name. Version 1 knows this machine only; later ones have other locks and settings.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::files;
use super::lock::{Contents, Local, Tool};
use crate::error::{Error, Result};
use crate::image::Arch;

/// The settings of yarn 2 and later, <https://yarnpkg.com/configuration/yarnrc>.
pub(super) const SETTINGS: &str = ".yarnrc.yml";

/// What they read besides: yarn itself, what extends it, and changes to packages.
const OWN: [&str; 3] = [".yarn/patches", ".yarn/plugins", ".yarn/releases"];

/// The setting by which packages are chosen for a machine.
const MACHINE: &str = "supportedArchitectures:";

/// Where a package can be that is in no registry.
const LOCAL: [&str; 5] = ["file:", "link:", "portal:", "exec:", "workspace:"];

/// Of a lock only so much is understood as to know that it names nothing of the function's own, and is up to date.
pub(super) fn read(dir: &Path, bytes: &[u8], path: &Path) -> Result<(Tool, Contents)> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let text = std::str::from_utf8(bytes).map_err(|_| fail("it is no UTF-8".into()))?;
    let package = package(dir)?;
    let tool = if text.lines().any(|line| line == "__metadata:") { Tool::Berry } else { Tool::Yarn };
    let keys = text.lines().filter(|line| line.ends_with(':') && !line.starts_with([' ', '#']));
    let own = keys.flat_map(|line| line.trim_end_matches(':').split(", ").map(|key| key.trim_matches('"')));
    let own = own.chain(asked(&package).map(|(name, range)| if is_local(range) { range } else { name }));
    let mut own = own.filter(|key| {
        let place = key.get(1..).and_then(|key| key.split_once('@')).map_or(*key, |(_, place)| place);
        is_local(place) && place != "workspace:."
    });
    if let Some(own) = own.next().or_else(|| package.get("workspaces").map(|_| "workspaces")) {
        let fault =
            format!("`{own}`: of yarn's locks, lbuild takes those whose packages are all from registries");
        return Err(fail(fault));
    }
    if tool == Tool::Yarn {
        return Ok((tool, (bytes.to_vec(), BTreeMap::new())));
    }
    // yarn would see to it itself if it were asked to install all, but not for what a function needs only.
    if let Some((name, range)) = asked(&package).find(|(name, range)| !is_locked(text, name, range)) {
        return Err(fail(format!("{name} {range} of package.json is not in it: run `yarn install`")));
    }
    let local = OWN.into_iter().filter(|place| dir.join(place).is_dir());
    let local = local.map(|place| (place.to_owned(), Local::Package)).collect();
    Ok((tool, (bytes.to_vec(), local)))
}

fn is_local(place: &str) -> bool {
    LOCAL.iter().any(|scheme| place.starts_with(scheme))
}

/// What the function asks for, by name.
fn asked(package: &Value) -> impl Iterator<Item = (&str, &str)> {
    let kinds = ["dependencies", "optionalDependencies"].map(|kind| package[kind].as_object());
    let pairs = kinds.into_iter().flatten().flatten();
    pairs.filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
}

/// Whether the lock's entry of the function itself asks for the same.
fn is_locked(lock: &str, name: &str, range: &str) -> bool {
    let own = lock.lines().skip_while(|line| !line.ends_with("@workspace:.\":"));
    let mut own = own.skip(1).take_while(|line| line.starts_with(' '));
    own.any(|line| {
        let Some((key, value)) = line.trim().rsplit_once(": ") else { return false };
        let value = value.trim_matches('"');
        let plain = range.starts_with(|c: char| c.is_ascii_digit() || "^~<>=*".contains(c));
        key.trim_matches('"') == name && (!plain || value.trim_start_matches("npm:") == range)
    })
}

/// The version that the function wants yarn to be.
pub(super) fn pinned(dir: &Path) -> Option<String> {
    let package = package(dir).ok()?;
    let version = package["packageManager"].as_str()?.strip_prefix("yarn@")?;
    Some(version.split('+').next().unwrap_or(version).to_owned())
}

fn package(dir: &Path) -> Result<Value> {
    let path = dir.join("package.json");
    let bytes = files::read(&path)?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| Error::Requirements { path, fault: error.to_string() })
}

/// The function's package.json without the scripts, which yarn 2 and later run whatever they are told.
pub(super) fn without_scripts(package: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut package)) = serde_json::from_slice(package) else { return package.to_vec() };
    package.remove("scripts");
    Value::Object(package).to_string().into_bytes()
}

/// The function's settings for an image: where they choose machines, they choose the image's.
pub(super) fn settings(dir: &Path, arch: Arch) -> Result<Vec<u8>> {
    let text = text(dir)?;
    let mut kept = String::new();
    let mut dropping = false;
    for line in text.lines() {
        if !line.starts_with([' ', '\t', '#', '-']) && !line.is_empty() {
            dropping = line.starts_with(MACHINE);
        }
        if !dropping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let cpu = super::cpu(arch);
    Ok(format!("{kept}{MACHINE}\n  os: [linux]\n  cpu: [{cpu}]\n  libc: [glibc]\n").into_bytes())
}

/// The lines of the settings that may decide what is installed: neither logins nor where the registry is.
pub(super) fn decisive(dir: &Path) -> Result<String> {
    let text = text(dir)?;
    let lines = text.lines().filter(|line| !line.contains("npmAuth") && !line.contains("npmRegistryServer"));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// Passwords and tokens of the settings.
pub(super) fn secrets(text: &str) -> impl Iterator<Item = &str> {
    let pairs = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").split_once(':'));
    let secret = pairs.filter(|(key, _)| ["npmAuthToken", "npmAuthIdent"].contains(&key.trim_matches('"')));
    secret.map(|(_, value)| value.trim().trim_matches(['"', '\'']))
}

fn text(dir: &Path) -> Result<String> {
    let bytes = files::read(&dir.join(SETTINGS))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERRY: &str = "__metadata:\n  version: 10\n\n\"a@npm:^1\":\n  version: 1.0.0\n\n\"f@workspace:.\":\n  \
        version: 0.0.0-use.local\n  dependencies:\n    \"@s/b\": \"npm:~2\"\n    a: \"npm:^1\"\n  linkType: soft\n";

    fn of(package: &str, lock: &str) -> Result<Tool> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("package.json"), package).unwrap();
        read(dir.path(), lock.as_bytes(), Path::new("yarn.lock")).map(|(tool, _)| tool)
    }

    #[test]
    fn the_two_formats_are_told_apart() {
        assert_eq!(of("{}", "# yarn lockfile v1\n\n\na@^1:\n  version \"1.0.0\"\n").unwrap(), Tool::Yarn);
        let package = r#"{ "dependencies": { "a": "^1" }, "optionalDependencies": { "@s/b": "~2" } }"#;
        assert_eq!(of(package, BERRY).unwrap(), Tool::Berry);
    }

    #[test]
    fn what_is_in_no_registry_is_refused() {
        for (package, lock, own) in [
            ("{}", "\"a@file:./a\":\n  version \"1\"\n", "a@file:./a"),
            (
                "{}",
                "__metadata:\n\n\"@s/a@npm:1, @s/a@workspace:packages/a\":\n",
                "@s/a@workspace:packages/a",
            ),
            (r#"{ "dependencies": { "a": "link:../a" } }"#, "", "link:../a"),
            (r#"{ "workspaces": ["a"] }"#, "", "workspaces"),
        ] {
            let said = of(package, lock).unwrap_err().to_string();
            assert!(said.contains(&format!("`{own}`")), "{said}");
        }
    }

    #[test]
    fn a_lock_that_is_behind_is_refused() {
        for package in [r#"{ "dependencies": { "a": "^2" } }"#, r#"{ "dependencies": { "c": "1" } }"#] {
            let said = of(package, BERRY).unwrap_err().to_string();
            assert!(said.contains("run `yarn install`"), "{said}");
        }
    }

    #[test]
    fn settings_choose_the_images_machine() {
        let dir = tempfile::tempdir().unwrap();
        let text = "nodeLinker: pnp\nsupportedArchitectures:\n  # all\n  os:\n    - darwin\n\nnpmScopes:\n  s:\n    npmAuthToken: \"hunter2\"\n";
        std::fs::write(dir.path().join(SETTINGS), text).unwrap();
        let settings = String::from_utf8(settings(dir.path(), Arch::Arm64).unwrap()).unwrap();
        let ours = "supportedArchitectures:\n  os: [linux]\n  cpu: [arm64]\n  libc: [glibc]\n";
        assert!(settings.ends_with(ours) && !settings.contains("darwin"), "{settings}");
        assert!(settings.contains("nodeLinker: pnp\n") && settings.contains("hunter2"));
        assert!(!decisive(dir.path()).unwrap().contains("hunter2"));
        assert_eq!(secrets(text).collect::<Vec<_>>(), ["hunter2"]);
    }

    #[test]
    fn the_version_may_be_pinned() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("package.json"), r#"{ "packageManager": "yarn@4.5.0+sha224.x" }"#)
            .unwrap();
        assert_eq!(pinned(dir.path()).as_deref(), Some("4.5.0"));
    }
}
