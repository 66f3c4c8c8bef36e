//! The digests by which Poetry and Pipenv know whether a lock fits the file of its project. Both are over JSON as Python
//! writes it.

use serde_json::{Map, Value, json};

use crate::image::Digest;

/// The digests that Poetry may have written for this `pyproject.toml`: with the groups of `dependency-groups`, and
/// without them, as before version 2.3.
pub(super) fn of_poetry(project: &toml::Table) -> Option<[String; 2]> {
    let Value::Object(data) = serde_json::to_value(project).ok()? else { return None };
    Some([true, false].map(|with_groups| hex(&python_json(&relevant(&data, with_groups), (", ", ": ")))))
}

fn relevant(data: &Map<String, Value>, with_groups: bool) -> Value {
    let empty = Map::new();
    let table = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let project = data.get("project").and_then(Value::as_object).unwrap_or(&empty);
    let project: Map<String, Value> = ["requires-python", "dependencies", "optional-dependencies"]
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), project.get(*key)?.clone())))
        .collect();
    let groups = if with_groups { table(data.get("dependency-groups")) } else { Map::new() };
    let own = table(data.get("tool").and_then(|tool| tool.get("poetry")));
    let mut poetry = Map::new();
    for key in ["dependencies", "source", "extras", "dev-dependencies", "group"] {
        let value = own.get(key).cloned();
        let is_left_out = value.is_none() && (key == "group" || !project.is_empty() || !groups.is_empty());
        if !is_left_out {
            poetry.insert(key.to_owned(), value.unwrap_or(Value::Null));
        }
    }
    let mut all = Map::new();
    if !project.is_empty() {
        all.insert("project".to_owned(), project.into());
    }
    if !groups.is_empty() {
        all.insert("dependency-groups".to_owned(), groups.into());
    }
    match all.is_empty() {
        true => poetry.into(),
        false => {
            all.insert("tool".to_owned(), json!({ "poetry": poetry }));
            all.into()
        }
    }
}

/// The digest that Pipenv writes for this `Pipfile`; `None` if it cannot be computed.
///
/// <https://github.com/sarugaku/plette>
pub(super) fn of_pipenv(pipfile: &str) -> Option<String> {
    let table: toml::Table = pipfile.parse().ok()?;
    let Value::Object(data) = serde_json::to_value(table).ok()? else { return None };
    let of = |name: &str| data.get(name).cloned().unwrap_or_else(|| json!({}));
    // Without a source, Pipenv adds the public index.
    let mut all = Map::new();
    all.insert("_meta".to_owned(), json!({ "sources": data.get("source")?, "requires": of("requires") }));
    all.insert("default".to_owned(), of("packages"));
    all.insert("develop".to_owned(), of("dev-packages"));
    let known = ["source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv"];
    let others = data.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    all.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    Some(hex(&python_json(&all.into(), (",", ":"))))
}

fn hex(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()
}

/// JSON with sorted keys, these separators of items and keys, and nothing but ASCII.
fn python_json(value: &Value, (item, key): (&str, &str)) -> String {
    let text = |text: &str| {
        let quoted = Value::from(text).to_string();
        let escaped = quoted.chars().map(|c| match c.is_ascii() && c != '\x7f' {
            true => c.to_string(),
            false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        });
        escaped.collect::<String>()
    };
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| python_json(value, (item, key))).collect();
            format!("[{}]", values.join(item))
        }
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            let pairs = names
                .into_iter()
                .map(|name| format!("{}{key}{}", text(name), python_json(&map[name], (item, key))));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(item))
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests are those that Pipenv 2026.10.3 and Poetry 2.5.1 wrote.
    #[test]
    fn the_digests_are_those_of_the_tools() {
        let pipfile = "[[source]]\nurl = \"https://i.example/simple\"\nverify_ssl = true\nname = \"é\"\n[packages]\n\
                       idna = \"==3.10\"\ntqdm = {version = \"*\"}\n[requires]\npython_version = \"3.11\"\n[lint]\nx = \"*\"\n";
        assert_eq!(
            of_pipenv(pipfile).unwrap(),
            "faad8ed8fe15e8cec15f68fb9157fa1afea5f518a53d6518e4b67c13a7ce45ad"
        );
        let standard = "[project]\nname = \"fn\"\nrequires-python = \">=3.11\"\ndependencies = [\"idna==3.10\"]\n\
                        [dependency-groups]\nlint = [\"six\"]\n[tool.poetry.group.dev.dependencies]\niniconfig = \"*\"\n";
        assert_eq!(
            of_poetry(&standard.parse().unwrap()).unwrap(),
            [
                "6365b5244b1ce2185454559bb5541ceadd9b2510e9f515872fbf078b60a3a25c",
                "af42530fbc65e15b191f6ee7c7d56a1694284b6bacdd5fed9878b6ce74388975"
            ]
        );
        let own =
            "[tool.poetry]\nname = \"fn\"\n[tool.poetry.dependencies]\npython = \"^3.11\"\nidna = \"é\"\n";
        let own = of_poetry(&own.parse().unwrap()).unwrap();
        assert_eq!(
            own,
            [
                "d9d8e7db050eb3ecbdabb571363903fc04534c12b88592dc8868e85446c3371f",
                "d9d8e7db050eb3ecbdabb571363903fc04534c12b88592dc8868e85446c3371f"
            ]
        );
    }
}
