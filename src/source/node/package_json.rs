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
}
