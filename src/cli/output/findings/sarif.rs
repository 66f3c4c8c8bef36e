//! Findings as SARIF 2.1.0, for code scanning.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, and the additional requirements of GitHub:
//! <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support>

use std::collections::BTreeMap;

use lbuild::image::Digest;
use lbuild::lambda::check::{Finding, RULES, Rule, Severity};
use serde_json::{Value, json};

/// The path for findings without a path, which are about the image's own JSON: code scanning requires one.
const OF_IMAGE: &str = "manifest.json";

/// A log with one run.
pub fn log(image: &str, findings: &[Finding]) -> Value {
    let rules: Vec<Value> = RULES.iter().map(|rule| descriptor(rule)).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> =
        findings.iter().map(|finding| result(finding, fingerprint(finding, &mut seen))).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "lbuild",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "automationDetails": { "id": run(image) },
            "results": results,
        }],
    })
}

/// `lbuild/NAME/TAG@DIGEST`. The part before the last slash is the category: a log replaces the previous one of its
/// category, so each repository or layout has its own, independent of its image's tag and digest.
fn run(image: &str) -> String {
    let name = image.rsplit_once('@').map_or(image, |(name, _)| name);
    // A colon before a slash starts a port; the name of a layout's image has no tag.
    let tag = name.rfind(':').filter(|at| !name.starts_with("oci:") && !name[*at..].contains('/'));
    let name = &name[..tag.unwrap_or(name.len())];
    format!("lbuild/{name}/{}", image[name.len()..].trim_start_matches([':', '@']))
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.name,
        "shortDescription": { "text": rule.what },
        "fullDescription": { "text": rule.why },
        "help": { "text": format!("Help: {}.\n\nExample: {}", rule.help, rule.example) },
        "helpUri": rule.source,
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

fn result(finding: &Finding, fingerprint: String) -> Value {
    let uri = finding.path.as_deref().map(uri).filter(|uri| !uri.is_empty());
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri.unwrap_or_else(|| OF_IMAGE.to_owned()) },
        // Code scanning requires a region, even in binary files and for findings about a whole file.
        "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1 },
    } });
    if let Some(field) = &finding.field {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": field, "kind": "property" }]);
    }
    let index = RULES.iter().position(|rule| rule.name == finding.rule);
    let mut properties = json!(finding);
    if let Some(fields) = properties.as_object_mut() {
        fields.retain(|name, _| ["bytes", "layer", "layer_number", "path"].contains(&name.as_str()));
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [location],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint },
        "properties": properties,
    })
}

/// Identifies a finding across images, by its rule, its path or field, and its number among the findings that share
/// these. The message is left out, because it may contain counts that change. Code scanning cannot use the file's
/// lines: it does not have the file.
fn fingerprint(finding: &Finding, seen: &mut BTreeMap<Digest, usize>) -> String {
    let (path, field) = (finding.path.as_deref(), finding.field.as_deref());
    let place = [finding.rule, path.unwrap_or_default(), field.unwrap_or_default()].join("\0");
    let digest = Digest::of(place.as_bytes());
    let count = seen.entry(digest).or_insert(0);
    *count += 1;
    format!("{}:{count}", &digest.hex()[..16])
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A path as a relative reference (RFC 3986) that never leads out of the image.
fn uri(path: &str) -> String {
    let parts = path.split('/').filter(|part| !["", ".", ".."].contains(part));
    parts.map(encoded).collect::<Vec<_>>().join("/")
}

fn encoded(part: &str) -> String {
    part.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte as char),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{run, uri};

    #[test]
    fn each_repository_or_layout_has_its_own_category() {
        for (image, id) in [
            ("r.example:5000/a/b", "lbuild/r.example:5000/a/b/"),
            ("r.example:5000/a/b:v1", "lbuild/r.example:5000/a/b/v1"),
            ("r.example/b@sha256:01", "lbuild/r.example/b/sha256:01"),
            ("r.example/b:v1@sha256:01", "lbuild/r.example/b/v1@sha256:01"),
            ("oci:/tmp/a:b@sha256:01", "lbuild/oci:/tmp/a:b/sha256:01"),
        ] {
            assert_eq!(run(image), id);
        }
    }

    #[test]
    fn a_path_is_a_relative_reference() {
        for (path, reference) in [
            ("var/task/app.py", "var/task/app.py"),
            ("var/task/é 100%,a:b?#.so", "var/task/%C3%A9%20100%25%2Ca%3Ab%3F%23.so"),
            ("a/../../etc/passwd", "a/etc/passwd"),
            ("..", ""),
        ] {
            assert_eq!(uri(path), reference);
        }
    }
}
