//! The manifest of an assembly.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::{fault_at, or_default, parse};
use crate::error::Result;

/// The major version of the newest schema whose fields this module knows. A new major does not say what has changed, and
/// most of them only add fields.
pub const KNOWN_SCHEMA: u64 = 55;

const ASSET_MANIFEST: &str = "cdk:asset-manifest";
const NESTED: &str = "cdk:cloud-assembly";

/// The artifacts of an assembly that may have images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// The version of its schema.
    pub version: String,
    /// The asset manifests, by their paths in the directory of the assembly.
    pub asset_manifests: Vec<String>,
    /// The nested assemblies, by their paths in that directory.
    pub nested: Vec<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Manifest {
    version: String,
    #[serde(default, deserialize_with = "or_default")]
    artifacts: BTreeMap<String, Artifact>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Artifact {
    r#type: String,
    #[serde(default)]
    properties: Value,
}

impl Assembly {
    /// Reads a `manifest.json`; `file` is its name in messages.
    ///
    /// # Errors
    /// When it is not the manifest of an assembly.
    pub fn parse(file: &str, text: &str) -> Result<Assembly> {
        let Manifest { version, artifacts } = parse(file, text)?;
        let (mut asset_manifests, mut nested) = (Vec::new(), Vec::new());
        for (id, Artifact { r#type, properties }) in artifacts {
            let (key, paths) = match &*r#type {
                ASSET_MANIFEST => ("file", &mut asset_manifests),
                NESTED => ("directoryName", &mut nested),
                _ => continue,
            };
            let missing = || fault_at(file, text, &id, format!("the artifact `{id}` has no `{key}`"));
            paths.push(properties[key].as_str().ok_or_else(missing)?.to_owned());
        }
        Ok(Assembly { version, asset_manifests, nested })
    }

    /// Whether the schema has a newer major version than [`KNOWN_SCHEMA`].
    pub fn is_newer(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u64>().ok());
        major.is_some_and(|major| major > KNOWN_SCHEMA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asset_manifests_and_nested_assemblies_are_found() {
        let text = r#"{ "version": "36.0.0", "artifacts": {
            "A.assets": { "type": "cdk:asset-manifest", "properties": { "file": "A.assets.json" } },
            "A": { "type": "aws:cloudformation:stack", "properties": { "templateFile": "A.template.json" } },
            "Tree": { "type": "cdk:tree" },
            "assembly-Prod": { "type": "cdk:cloud-assembly", "properties": { "directoryName": "assembly-Prod" } }
        } }"#;
        let assembly = Assembly::parse("manifest.json", text).unwrap();
        assert_eq!(assembly.asset_manifests, ["A.assets.json"]);
        assert_eq!(assembly.nested, ["assembly-Prod"]);
        assert!(!assembly.is_newer());
        let empty = Assembly::parse("m", r#"{"version":"56.0.0","artifacts":null}"#).unwrap();
        assert!(empty.is_newer() && empty.asset_manifests.is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("", "m:1:1: it is not JSON: EOF while parsing a value"),
            ("{\n  \"version\": \"1\",\n", "m:3:1: it is not JSON: EOF"),
            ("{\n}", "m:2:1: missing field `version`"),
            ("[]", "m:1:1: this must be an object"),
            ("{\n  \"version\": 7\n}", "m:2:3: this must be a string\n  2 |   \"version\":\n    |   ^"),
            (
                "{\n \"version\": \"7\",\n \"artifacts\": {\n  \"A\": { \"type\": \"cdk:asset-manifest\" }\n }\n}",
                "m:4:3: the artifact `A` has no `file`\n  4 |   \"A\":\n",
            ),
        ] {
            let error = Assembly::parse("m", text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(error.hint().unwrap().contains("cdk synth"));
        }
    }
}
