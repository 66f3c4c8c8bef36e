//! What an install in an image must know of a lock and of its project before the lock is read for a target.

use crate::recipe::{LockSelection, LockTool, LockedProject};

/// The directories and files of packages that the lock has by their path, relative to the lock.
pub(in crate::source::python) fn directories(selection: &LockSelection, lock: &str) -> Vec<String> {
    let text = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).map(str::to_owned);
    let mut found: Vec<String> = match selection.tool {
        LockTool::Uv | LockTool::Poetry => {
            let lock: toml::Table = lock.parse().unwrap_or_default();
            let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
            let place = |package: &toml::Value| {
                let source = package.get("source")?;
                match selection.tool {
                    LockTool::Uv => {
                        ["directory", "editable", "path"].iter().find_map(|kind| text(source.get(kind)))
                    }
                    _ => {
                        let kind = text(source.get("type"))?;
                        ["file", "directory"].contains(&&*kind).then(|| text(source.get("url"))).flatten()
                    }
                }
            };
            packages.filter_map(place).collect()
        }
        LockTool::Pipenv => {
            let lock: serde_json::Value = serde_json::from_str(lock).unwrap_or_default();
            let tables = lock.as_object().into_iter().flatten().filter_map(|(_, table)| table.as_object());
            let places = tables.flatten().filter_map(|(_, package)| {
                ["path", "file"].iter().find_map(|key| package.get(key)?.as_str().map(str::to_owned))
            });
            places.collect()
        }
    };
    found.retain(|path| !path.contains("://"));
    // The project itself is read only if it is installed.
    found.retain(|path| path != "." || selection.project != LockedProject::LeftOut);
    found
}

/// The name of the project of a `pyproject.toml`.
pub(in crate::source::python) fn prompt(project: &str) -> Option<String> {
    let table: toml::Table = project.parse().ok()?;
    table.get("project")?.get("name")?.as_str().map(str::to_owned)
}
