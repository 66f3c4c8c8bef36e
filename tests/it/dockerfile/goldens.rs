//! Dockerfiles and what becomes of them: `ok/NAME.Dockerfile` has its recipe and warnings in `ok/NAME.json`,
//! `bad/NAME.Dockerfile` its message in `bad/NAME.txt`. `UPDATE_GOLDEN=1` rewrites them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::lowering::{lower, refusal};

fn cases(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dockerfile").join(kind);
    let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "Dockerfile")).collect();
    cases.sort();
    cases
}

/// Compares with the golden file, or rewrites it. Returns whether they differ.
fn differs(golden: &Path, found: &str) -> bool {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(golden, found).unwrap();
    }
    fs::read_to_string(golden).unwrap_or_default() != found
}

#[test]
fn good_files_are_lowered() {
    let cases = cases("ok");
    let mut wrong = Vec::new();
    for case in &cases {
        let lowered = lower(&fs::read_to_string(case).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let warnings: Vec<Value> =
            lowered.warnings.iter().map(|warning| json!(warning.to_string())).collect();
        let found = json!({ "recipe": lowered.recipe, "warnings": warnings });
        let found = serde_json::to_string_pretty(&found).unwrap() + "\n";
        if differs(&case.with_extension("json"), &found) {
            wrong.push(format!("{}: {found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 120, "{}", cases.len());
}

#[test]
fn bad_files_are_refused_with_their_messages() {
    let cases = cases("bad");
    let mut wrong = Vec::new();
    for case in &cases {
        let found = refusal(&fs::read_to_string(case).unwrap()) + "\n";
        if differs(&case.with_extension("txt"), &found) {
            wrong.push(format!("{}: {found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 80, "{}", cases.len());
}
