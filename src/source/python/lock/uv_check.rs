//! Whether `uv.lock` fits `pyproject.toml`, as far as names and versions tell. uv itself would resolve the project again.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::VersionSpecifiers;
use toml::{Table, Value};

use super::uv_schema::{UvLock, UvPackage, UvRequirement};
use crate::source::python::wheel::normalized;

/// The requirements of one name: their version specifiers in the normal form, without those that cannot be compared.
type Asked = BTreeMap<String, BTreeSet<String>>;

/// Upper bound on groups that include each other.
const DEPTH: usize = 16;

/// Fails if the project asks for something that the lock was not written for.
pub(super) fn check_fit(lock: &UvLock, package: &UvPackage, project: &Table) -> Result<(), String> {
    let fail = |what: String| format!("it does not fit pyproject.toml, where {what}: run `uv lock`");
    let standard = project.get("project").and_then(Value::as_table);
    let python = standard.and_then(|standard| standard.get("requires-python")).and_then(Value::as_str);
    if let (Some(python), Some(locked)) = (python, lock.requires_python.as_deref())
        && normal(python) != normal(locked)
        && lock.manifest.members.len() < 2
    {
        return Err(fail(format!("`requires-python` is {python}")));
    }
    let listed = |key: &str| standard.and_then(|standard| standard.get(key));
    let dynamic = listed("dynamic").and_then(Value::as_array).into_iter().flatten();
    if dynamic.filter_map(Value::as_str).any(|name| name.ends_with("dependencies")) {
        return Ok(());
    }
    let sources = project.get("tool").and_then(|tool| tool.get("uv")?.get("sources")?.as_table());
    let sources: BTreeSet<String> =
        sources.into_iter().flat_map(|table| table.keys()).map(|name| normalized(name)).collect();
    let mut asked = Asked::new();
    let extras = listed("optional-dependencies").and_then(Value::as_table);
    let lists = listed("dependencies").into_iter().chain(extras.into_iter().flat_map(|table| table.values()));
    for text in lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
        add(&mut asked, text);
    }
    compare(&asked, &package.metadata.requires_dist, &sources).map_err(&fail)?;
    let groups = project.get("dependency-groups").and_then(Value::as_table);
    for (name, _) in groups.into_iter().flatten() {
        let mut asked = Asked::new();
        group(&mut asked, groups, name, 0)?;
        let locked =
            package.metadata.requires_dev.iter().find(|(other, _)| normalized(other) == normalized(name));
        let none = Vec::new();
        compare(&asked, locked.map_or(&none, |(_, list)| list), &sources).map_err(&fail)?;
    }
    Ok(())
}

/// Adds the requirements of a group and of those that it includes.
fn group(asked: &mut Asked, groups: Option<&Table>, name: &str, depth: usize) -> Result<(), String> {
    if depth > DEPTH {
        return Err(format!("the groups of pyproject.toml include each other: {name}"));
    }
    let found =
        groups.and_then(|groups| groups.iter().find(|(other, _)| normalized(other) == normalized(name)));
    for entry in found.and_then(|(_, list)| list.as_array()).into_iter().flatten() {
        match (entry.as_str(), entry.get("include-group").and_then(Value::as_str)) {
            (Some(text), _) => add(asked, text),
            (None, Some(other)) => group(asked, groups, other, depth + 1)?,
            (None, None) => return Err(format!("the group {name} of pyproject.toml cannot be read")),
        }
    }
    Ok(())
}

fn add(asked: &mut Asked, text: &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.1)).unwrap_or(rest);
    let specifier = rest.split(';').next().unwrap_or_default().trim().trim_matches(['(', ')']);
    let specifiers = asked.entry(normalized(name)).or_default();
    if !specifier.starts_with('@') {
        specifiers.insert(normal(specifier));
    }
}

fn compare(asked: &Asked, locked: &[UvRequirement], sources: &BTreeSet<String>) -> Result<(), String> {
    let mut known = Asked::new();
    for requirement in locked {
        let specifiers = known.entry(normalized(&requirement.name)).or_default();
        specifiers.insert(normal(requirement.specifier.as_deref().unwrap_or_default()));
    }
    if let Some(name) = asked.keys().find(|name| !known.contains_key(*name)) {
        return Err(format!("{name} is new"));
    }
    if let Some(name) = known.keys().find(|name| !asked.contains_key(*name)) {
        return Err(format!("{name} is missing"));
    }
    let differs = |(name, specifiers): &(&String, &BTreeSet<String>)| {
        !sources.contains(*name) && !specifiers.is_empty() && known.get(*name) != Some(specifiers)
    };
    match asked.iter().find(differs) {
        Some((name, specifiers)) => {
            let specifiers: Vec<&str> = specifiers.iter().map(String::as_str).collect();
            Err(format!("{name} is `{}`", specifiers.join("`, `")))
        }
        None => Ok(()),
    }
}

/// A list of version specifiers, in the normal form and in order.
fn normal(text: &str) -> String {
    match VersionSpecifiers::from_str(text) {
        Ok(specifiers) => {
            let all: BTreeSet<String> = specifiers.iter().map(ToString::to_string).collect();
            all.into_iter().collect::<Vec<_>>().join(",")
        }
        Err(_) => text.split_whitespace().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
requires-python = ">=3.11"
[[package]]
name = "fn"
version = "0.1.0"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "idna", specifier = ">=3,<4" },
    { name = "lib", editable = "lib" },
    { name = "six", marker = "extra == 'x'" },
]
[package.metadata.requires-dev]
dev = [{ name = "iniconfig" }, { name = "packaging", specifier = "==26.4" }]
lint = [{ name = "packaging", specifier = "==26.4" }]
"#;

    const PROJECT: &str = r#"
[project]
requires-python = ">= 3.11"
dependencies = ["IDNA[x]<4, >=3 ; os_name == 'posix'", "lib==1"]
[project.optional-dependencies]
x = ["six"]
[dependency-groups]
dev = ["iniconfig", { include-group = "lint" }]
lint = ["packaging == 26.4"]
[tool.uv.sources]
lib = { path = "lib", editable = true }
"#;

    #[test]
    fn a_changed_requirement_is_found() {
        let lock: UvLock = toml::from_str(LOCK).unwrap();
        for (from, to, fault) in [
            ("", "", None),
            (">= 3.11", ">=3.12", Some("`requires-python` is >=3.12")),
            ("<4, >=3", "<5", Some("idna is `<5`")),
            ("\"lib==1\"", "\"lib==1\", \"tqdm\"", Some("tqdm is new")),
            ("[\"six\"]", "[]", Some("six is missing")),
            ("[\"iniconfig\", ", "[", Some("iniconfig is missing")),
            ("packaging == 26.4", "packaging", Some("packaging is ``")),
            ("dependencies = [\"IDNA", "dynamic = ['dependencies']\nothers = [\"IDNA", None),
        ] {
            let project: Table = PROJECT.replacen(from, to, 1).parse().unwrap();
            let found = check_fit(&lock, &lock.packages[0], &project);
            match (found, fault) {
                (Ok(()), None) => {}
                (Err(found), Some(fault)) => assert!(found.contains(fault), "{from} {to}: {found}"),
                (found, _) => panic!("{from} {to}: {found:?}"),
            }
        }
    }
}
