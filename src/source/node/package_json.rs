//! The `package.json` of the function.

use std::path::Path;

use serde_json::Value;

use super::files::{self, PACKAGE};
use crate::error::{Error, Result};

/// The function's package.json.
pub(super) fn read(dir: &Path) -> Result<Value> {
    let path = dir.join(PACKAGE);
    let bytes = files::read(&path)?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| Error::Requirements { path, fault: error.to_string() })
}

/// The dependencies that are installed for a function: names and version ranges.
pub(super) fn dependencies(package: &Value) -> impl Iterator<Item = (&str, &str)> {
    let kinds = ["dependencies", "optionalDependencies"].map(|kind| package[kind].as_object());
    let pairs = kinds.into_iter().flatten().flatten();
    pairs.filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
}

/// The part of package.json that determines the installed files: dependencies, and its scripts if they are run.
pub(super) fn decisive(dir: &Path, scripts: bool) -> Result<Vec<u8>> {
    let path = dir.join(PACKAGE);
    let bytes = files::read(&path)?.unwrap_or_default();
    let fail =
        |error: serde_json::Error| Error::Requirements { path: path.clone(), fault: error.to_string() };
    let mut package: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).map_err(fail)?;
    package.retain(|key, _| match key.as_str() {
        "scripts" => scripts,
        "workspaces"
        | "overrides"
        | "resolutions"
        | "pnpm"
        | "bundleDependencies"
        | "bundledDependencies" => true,
        "devDependencies" => false,
        key => key.ends_with("ependencies") || key.ends_with("DependenciesMeta"),
    });
    Ok(Value::Object(package).to_string().into_bytes())
}

/// The ranges of all dependencies, also of those for development.
fn ranges(package: &Value) -> impl Iterator<Item = &str> {
    let kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
    let kinds = kinds.map(|kind| package[kind].as_object());
    kinds.into_iter().flatten().flatten().filter_map(|(_, range)| range.as_str())
}

/// Whether the packages of this package.json are, or may be, files beside it.
pub(super) fn names_files(package: &[u8]) -> bool {
    let Ok(package) = serde_json::from_slice::<Value>(package) else { return false };
    let schemes = ["file:", "link:", "portal:", "workspace:", "patch:", "exec:", ".", "/", "~/"];
    package.get("workspaces").is_some()
        || ranges(&package).any(|range| schemes.iter().any(|scheme| range.starts_with(scheme)))
}

/// Whether packages of this package.json come from git repositories, of which `user/repository` is a short form.
pub(super) fn names_git(package: &[u8]) -> bool {
    let Ok(package) = serde_json::from_slice::<Value>(package) else { return false };
    let schemes = ["git", "bitbucket:", "gist:"];
    let is_short =
        |range: &str| range.contains('/') && !range.contains(':') && !range.starts_with(['.', '/', '~']);
    ranges(&package).any(|range| is_short(range) || schemes.iter().any(|scheme| range.starts_with(scheme)))
}

/// Whether this is the package.json of the root of workspaces.
pub(super) fn has_workspaces(package: &[u8]) -> bool {
    serde_json::from_slice::<Value>(package).is_ok_and(|package| package.get("workspaces").is_some())
}

/// The version of yarn that the function's package.json pins.
pub(super) fn pinned_yarn(dir: &Path) -> Option<String> {
    let package = read(dir).ok()?;
    let version = package["packageManager"].as_str()?.strip_prefix("yarn@")?;
    Some(version.split('+').next().unwrap_or(version).to_owned())
}

/// The function's package.json without its scripts, because yarn 2 and later run them regardless of the settings.
pub(super) fn without_scripts(package: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut package)) = serde_json::from_slice(package) else { return package.to_vec() };
    package.remove("scripts");
    Value::Object(package).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_yarn_may_be_pinned() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("package.json"), r#"{ "packageManager": "yarn@4.5.0+sha224.x" }"#)
            .unwrap();
        assert_eq!(pinned_yarn(dir.path()).as_deref(), Some("4.5.0"));
    }

    #[test]
    fn dependencies_beside_the_package_or_in_repositories_are_found() {
        let of = |range: &str| {
            let package =
                serde_json::json!({ "repository": "github:u/r", "devDependencies": { "a": range } });
            let package = package.to_string();
            (names_files(package.as_bytes()), names_git(package.as_bytes()))
        };
        for (range, expected) in [
            ("^1.0.0", (false, false)),
            ("npm:@s/b@1", (false, false)),
            ("https://r.example/a/a.tgz", (false, false)),
            ("file:../a", (true, false)),
            ("./a", (true, false)),
            ("workspace:*", (true, false)),
            ("github:u/r", (false, true)),
            ("git+ssh://git@h.example/u/r.git", (false, true)),
            ("u/r#v1", (false, true)),
        ] {
            assert_eq!(of(range), expected, "{range}");
        }
        let root = br#"{ "workspaces": ["packages/*"] }"#;
        assert!(has_workspaces(root) && names_files(root) && !names_git(root));
    }
}
