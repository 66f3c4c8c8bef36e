//! The output of `--json`, `--sarif` and `--github` is valid. The schemas of `--json` are also its documentation;
//! the schema of SARIF is the one that OASIS published with errata 01.

use super::{ODD, broken, good, report};
use crate::support::image_builder::{self, Layer, PLAIN, Tar, image};
use crate::support::lbuild::Lbuild;
use crate::support::{bases, part, testdata, tool};
use lbuild::image::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

const APP: &str = "def main(e, c): return e\n";

/// A validator's message for each of these documents; empty if it is valid.
fn faults(schema: &str, documents: &[Value]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> =
        (0..documents.len()).map(|nth| dir.path().join(format!("{nth}.json"))).collect();
    for (file, document) in files.iter().zip(documents) {
        std::fs::write(file, document.to_string()).unwrap();
    }
    let mut python = Command::new(tool("python3"));
    python.args(["-m", "check_jsonschema", "--output-format", "json", "--schemafile"]);
    python.arg(testdata("schemas").join(schema)).args(&files);
    python.env("PYTHONPATH", part("recipes/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = python.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.success(), said["errors"] == json!([]), "{said:#}");
    let errors = said["errors"].as_array().unwrap();
    let of_file = |file: &PathBuf| {
        let errors = errors.iter().filter(|error| error["filename"] == json!(file));
        errors.map(Value::to_string).collect::<String>()
    };
    files.iter().map(of_file).collect()
}

/// Asserts that the documents are valid, and that each change, as (pointer, value, expected message), makes the first
/// one invalid.
fn assert_validated(schema: &str, documents: &[Value], changes: &[(&str, Value, &str)]) {
    let changed = changes.iter().map(|(pointer, to, _)| {
        let mut document = documents[0].clone();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing to change: {pointer}")) = to.clone();
        document
    });
    let all: Vec<Value> = documents.iter().cloned().chain(changed).collect();
    let said = faults(schema, &all);
    assert!(said[..documents.len()].iter().all(String::is_empty), "{said:#?}");
    for ((pointer, _, because), said) in changes.iter().zip(&said[documents.len()..]) {
        assert!(said.contains(because), "{pointer}: want {because:?} in {said}");
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str)
}

/// Asserts that every property that the schema has at this pointer occurs in at least one of the objects.
fn all_seen<'a>(schema: &str, pointer: &str, objects: impl IntoIterator<Item = &'a Value>) {
    let schema = bases::read(&testdata("schemas").join(schema));
    let seen: BTreeSet<&str> = objects.into_iter().flat_map(keys).collect();
    let properties = schema.pointer(pointer).unwrap_or_else(|| panic!("the schema has no {pointer}"));
    assert_eq!(seen, keys(properties).collect::<BTreeSet<_>>(), "{pointer}");
}

#[test]
fn the_json_of_check_matches_its_schema() {
    let lbuild = Lbuild::new();
    let bad = report(&lbuild, &broken(&lbuild, APP), &[], 8);
    let fine = report(&lbuild, &good(&lbuild), &[], 0);
    all_seen("check.json", "/properties", [&bad]);
    all_seen("check.json", "/properties/platform/properties", [&bad["platform"]]);
    all_seen("check.json", "/$defs/finding/properties", list(&bad["findings"]));
    for (count, severity) in [("errors", "error"), ("warnings", "warning"), ("notes", "note")] {
        let found = list(&bad["findings"]).iter().filter(|finding| finding["severity"] == severity).count();
        assert!(found > 0 && bad[count] == found, "{count}: {found} in {bad:#}");
    }
    let changes = [
        ("/schema", json!(1), "2 was expected"),
        ("/digest", json!("sha256:0"), "does not match"),
        ("/platform", json!({ "os": "linux" }), "'architecture' is a required property"),
        ("/errors", json!(-1), "less than the minimum"),
        ("/findings/0/severity", json!("fatal"), "is not one of"),
        ("/findings/0/rule", json!("No rule"), "does not match"),
        ("/findings/0", json!({ "rule": "a", "message": "m" }), "'help' is a required property"),
        ("", json!({ "schema": 2, "more": true }), "'more' was unexpected"),
    ];
    assert_validated("check.json", &[bad, fine], &changes);
}

/// Two images with every difference that `lbuild diff` can report.
fn two(lbuild: &Lbuild) -> [String; 2] {
    // For one file, owner and time also differ.
    let mut aged = Tar::new().file("aged", 0o644, "").directory("a/").symlink("a/link", "one");
    aged = aged.file("a/mode", 0o644, "").file("a/text", 0o644, "1").file("a/gone", 0o644, "");
    let mut aged = aged.bytes();
    let mut header = tar::Header::from_byte_slice(&aged[..512]).clone();
    header.set_uid(7);
    header.set_mtime(7);
    header.set_cksum();
    aged[..512].copy_from_slice(header.as_bytes());
    let diff_id = Digest::of(&aged).to_string();
    let aged = Layer { stored: image_builder::gzip(&aged), media_type: image_builder::GZIP, diff_id };
    let fresh = Tar::new().file("aged", 0o644, "").directory("a/").symlink("a/link", "two");
    let fresh = fresh.file("a/mode", 0o755, "").file("a/text", 0o644, "22").file("a/new", 0o644, "");

    let same = || Tar::new().file("same", 0o644, "");
    let plain = Layer { stored: same().bytes(), media_type: PLAIN, diff_id: Layer::gzip(same()).diff_id };
    let more = Layer::gzip(Tar::new().file("more", 0o644, ""));
    let from = image(&lbuild.path("from"), &[aged, Layer::gzip(same()), more], |config, _| {
        config["config"]["Env"] = json!(["A=1", "B=2"]);
        config["config"]["Labels"] = json!({ "org.opencontainers.image.base.name": "r.example/b:1" });
    });
    let to = image(&lbuild.path("to"), &[Layer::gzip(fresh), plain], |config, manifest| {
        config["config"]["Env"] = json!(["A=2", "C=3"]);
        manifest["annotations"] = json!({ "a": "b" });
    });
    [from, to]
}

#[test]
fn the_json_of_diff_matches_its_schema() {
    let lbuild = Lbuild::new();
    let [from, to] = two(&lbuild);
    let diff = |from: &str, to: &str| -> Value {
        serde_json::from_str(&lbuild.ok(&["diff", from, to, "--json"]).stdout).unwrap()
    };
    let (all, back, none) = (diff(&from, &to), diff(&to, &from), diff(&from, &from));
    all_seen("diff.json", "/properties", [&all]);
    all_seen("diff.json", "/properties/sends/properties", [&all["sends"]]);
    all_seen("diff.json", "/$defs/field/properties", list(&all["config"]));
    all_seen("diff.json", "/$defs/layer/properties", list(&all["layers"]));
    let files: Vec<&Value> = list(&all["layers"]).iter().flat_map(|layer| list(&layer["files"])).collect();
    all_seen("diff.json", "/$defs/file/properties", files.iter().copied());
    let changes = files.iter().flat_map(|file| list(&file["changes"]));
    let seen: BTreeSet<&str> = changes.map(|change| change["change"].as_str().unwrap()).collect();
    let schema = bases::read(&testdata("schemas/diff.json"));
    let kinds = list(&schema["$defs"]["file"]["properties"]["changes"]["items"]["oneOf"]).iter();
    let kinds = kinds.map(|kind| kind["$ref"].as_str().unwrap().strip_prefix("#/$defs/").unwrap());
    assert_eq!(seen, kinds.collect::<BTreeSet<_>>(), "{all:#}");
    assert!(!list(&all["manifest"]).is_empty() && none["layers"] == json!([]), "{all:#}{none:#}");

    let changes = [
        ("/digests", json!(["sha256:0"]), "is too short"),
        ("/base", json!("r.example/b:1"), "is not of type 'array'"),
        ("/config/0", json!({ "field": "config.Env.A" }), "is not valid under any"),
        ("/layers/0/numbers", json!([0, "1"]), "is not of type"),
        ("/layers/0/files/0/changes", json!([]), "should be non-empty"),
        ("/layers/0/files/0/changes/0", json!({ "change": "added" }), "'size' is a required property"),
        ("/sends", json!({ "layers": 1, "bytes": 2, "seconds": 3 }), "'seconds' was unexpected"),
    ];
    assert_validated("diff.json", &[all, back, none], &changes);
}

fn sarif(lbuild: &Lbuild, image: &str, code: i32) -> Value {
    let done = lbuild.run(&["check", image, "--sarif"]);
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stdout))
}

#[test]
fn sarif_is_valid() {
    let lbuild = Lbuild::new();
    let bad = sarif(&lbuild, &broken(&lbuild, APP), 8);
    let fine = sarif(&lbuild, &good(&lbuild), 0);
    assert_eq!(fine["runs"][0]["results"], json!([]));
    let changes = [
        ("/version", json!("2.0.0"), "is not one of"),
        ("/runs/0/tool/driver", json!({ "rules": [] }), "'name' is a required property"),
        ("/runs/0/tool/driver/rules/0", json!({ "name": "no id" }), "'id' is a required property"),
        ("/runs/0/automationDetails", json!({ "category": "lbuild" }), "'category' was unexpected"),
        ("/runs/0/results/0", json!({ "ruleId": "user-set" }), "'message' is a required property"),
        ("/runs/0/results/0/level", json!("fatal"), "is not one of"),
        ("/runs/0/results/0/ruleIndex", json!(null), "is not of type 'integer'"),
        ("/runs/0/results/0/locations/0", json!({ "uri": "a" }), "'uri' was unexpected"),
    ];
    assert_validated("sarif-2.1.0.json", &[bad, fine], &changes);
}

/// The requirements of GitHub code scanning beyond a valid log.
#[test]
fn code_scanning_can_show_every_finding() {
    let lbuild = Lbuild::new();
    let image = broken(&lbuild, APP);
    let (log, json) = (sarif(&lbuild, &image, 8), report(&lbuild, &image, &[], 8));
    let (run, findings) = (&log["runs"][0], list(&json["findings"]));
    for rule in list(&run["tool"]["driver"]["rules"]) {
        for text in ["shortDescription", "fullDescription", "help"] {
            let length = rule[text]["text"].as_str().unwrap().chars().count();
            assert!((1..=1024).contains(&length), "{text} of {length} characters in {rule:#}");
        }
    }
    assert_eq!(list(&run["results"]).len(), findings.len());
    let (mut fingerprints, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for (result, finding) in list(&run["results"]).iter().zip(findings) {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], finding["rule"]);
        assert_eq!(
            (&result["ruleId"], &result["level"], &result["message"]["text"]),
            (&finding["rule"], &finding["severity"], &finding["message"])
        );
        let [location] = list(&result["locations"]) else { panic!("one location: {result:#}") };
        let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
        assert!(!uri.is_empty() && uri.chars().all(is_safe), "{uri}");
        assert!(uri.split('/').all(|part| !["", ".", ".."].contains(&part)), "{uri}");
        for edge in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert_eq!(location["physicalLocation"]["region"][edge], 1);
        }
        assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], finding["field"]);
        for name in ["path", "layer", "layer_number", "bytes"] {
            assert_eq!(result["properties"][name], finding[name], "{name}");
        }
        let fingerprint = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(fingerprints.insert(fingerprint), "twice: {fingerprint} in {log:#}");
        kinds.insert(["path", "field", "layer"].map(|name| !finding[name].is_null()));
    }
    // A file in a layer, a field of the config, a field about a layer.
    for kind in [[true, false, true], [false, true, false], [false, true, true]] {
        assert!(kinds.contains(&kind), "{kind:?} in {kinds:?}");
    }
    let text = log.to_string();
    for uri in ["var/task/lib/%C3%A9%20100%25%2C%20a%3Ab.so", "outside", "manifest.json"] {
        assert!(text.contains(&format!(r#""uri":"{uri}""#)), "{uri} in {log:#}");
    }

    // Another image with the same faults gives the same alerts of the same category.
    let other = sarif(&lbuild, &broken(&lbuild, "def main(e, c): return 1\n"), 8);
    assert_ne!(log["runs"][0]["automationDetails"], other["runs"][0]["automationDetails"]);
    let alerts = |log: &Value| {
        let id = log["runs"][0]["automationDetails"]["id"].as_str().unwrap();
        let results = list(&log["runs"][0]["results"]).iter();
        let prints: Vec<Value> = results.map(|result| result["partialFingerprints"].clone()).collect();
        (id.rsplit_once('/').unwrap().0.to_owned(), prints)
    };
    assert_eq!(alerts(&log), alerts(&other));
    assert_eq!(alerts(&log).0, format!("lbuild/oci:{}", lbuild.text("broken")));
}

#[test]
fn every_finding_is_an_annotation() {
    let lbuild = Lbuild::new();
    let image = broken(&lbuild, APP);
    let json = report(&lbuild, &image, &[], 8);
    let done = lbuild.run(&["check", &image, "--github"]);
    assert_eq!((done.code, done.stdout.lines().count()), (Some(8), list(&json["findings"]).len()));
    for (line, finding) in done.stdout.lines().zip(list(&json["findings"])) {
        let text = |name: &str| finding[name].as_str().unwrap();
        let severity = if text("severity") == "note" { "notice" } else { text("severity") };
        assert!(line.starts_with(&format!("::{severity} title={}::", text("rule"))), "{line}: {finding:#}");
    }
    let odd = format!("::/{}: ", ODD.replace('%', "%25"));
    assert!(done.stdout.contains(&odd), "{odd} in {}", done.stdout);
}
