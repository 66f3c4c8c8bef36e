//! `yarn.lock`, in the format of yarn 1 and in that of yarn 2 and later.

use std::collections::BTreeMap;
use std::path::Path;

use super::contents::{Contents, Local};
use crate::error::{Error, Result};
use crate::source::node::package_json;
use crate::source::node::tool::Tool;

/// Directories of the function that yarn 2 and later read: yarn itself, its plugins, and patches for packages.
const OWN: [&str; 3] = [".yarn/patches", ".yarn/plugins", ".yarn/releases"];

/// Schemes of packages that are not in a registry.
const LOCAL: [&str; 5] = ["file:", "link:", "portal:", "exec:", "workspace:"];

/// Parses a lock. Fails for one that names one of the function's own files or is out of date; lbuild parses nothing
/// else of the formats.
pub(super) fn read(dir: &Path, bytes: &[u8], path: &Path) -> Result<(Tool, Contents)> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let text = std::str::from_utf8(bytes).map_err(|_| fail("it is not UTF-8".into()))?;
    let package = package_json::read(dir)?;
    let tool = if text.lines().any(|line| line == "__metadata:") { Tool::Berry } else { Tool::Yarn };
    let keys = text.lines().filter(|line| line.ends_with(':') && !line.starts_with([' ', '#']));
    let own = keys.flat_map(|line| line.trim_end_matches(':').split(", ").map(|key| key.trim_matches('"')));
    let own = own.chain(
        package_json::dependencies(&package).map(|(name, range)| if is_local(range) { range } else { name }),
    );
    let mut own = own.filter(|key| {
        let place = key.get(1..).and_then(|key| key.split_once('@')).map_or(*key, |(_, place)| place);
        is_local(place) && place != "workspace:."
    });
    if let Some(own) = own.next().or_else(|| package.get("workspaces").map(|_| "workspaces")) {
        let fault = format!("`{own}`: lbuild supports yarn locks only if all packages come from registries");
        return Err(fail(fault));
    }
    if tool == Tool::Yarn {
        return Ok((tool, Contents { decisive: bytes.to_vec(), local: BTreeMap::new() }));
    }
    // yarn verifies this when it installs all packages, but not when it installs production packages only.
    if let Some((name, range)) =
        package_json::dependencies(&package).find(|(name, range)| !is_locked(text, name, range))
    {
        return Err(fail(format!("it does not have {name} {range} of package.json: run `yarn install`")));
    }
    let local = OWN.into_iter().filter(|place| dir.join(place).is_dir());
    let local = local.map(|place| (place.to_owned(), Local::Package)).collect();
    Ok((tool, Contents { decisive: bytes.to_vec(), local }))
}

fn is_local(place: &str) -> bool {
    LOCAL.iter().any(|scheme| place.starts_with(scheme))
}

/// Whether the lock's entry of the function itself has this dependency.
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
    fn the_two_formats_are_distinguished() {
        assert_eq!(of("{}", "# yarn lockfile v1\n\n\na@^1:\n  version \"1.0.0\"\n").unwrap(), Tool::Yarn);
        let package = r#"{ "dependencies": { "a": "^1" }, "optionalDependencies": { "@s/b": "~2" } }"#;
        assert_eq!(of(package, BERRY).unwrap(), Tool::Berry);
    }

    #[test]
    fn a_package_outside_of_registries_is_refused() {
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
    fn a_lock_that_is_out_of_date_is_refused() {
        for package in [r#"{ "dependencies": { "a": "^2" } }"#, r#"{ "dependencies": { "c": "1" } }"#] {
            let said = of(package, BERRY).unwrap_err().to_string();
            assert!(said.contains("run `yarn install`"), "{said}");
        }
    }
}
