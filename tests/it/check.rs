//! `lbuild check` and `lbuild rules`: one report with every fault of an image and no false findings.

mod clean;
mod formats;
mod path;
mod push;
mod remote;
mod verdict;

use crate::support::image_builder::{self, Layer, PLAIN, Tar, image};
use crate::support::lbuild::{Lbuild, files};
use lbuild::image::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The files of AWS's Python base, without the interpreter.
fn runtime() -> Tar {
    Tar::new()
        .directory("bin/")
        .file("bin/sh", 0o755, "")
        .file("lambda-entrypoint.sh", 0o755, "#!/bin/sh\n")
        .directory("var/")
        .directory("var/lang/")
        .directory("var/lang/bin/")
        .file("var/lang/bin/python3.12", 0o755, "")
        .directory("var/runtime/")
        .directory("var/runtime/awslambdaric/")
        .file("var/runtime/awslambdaric/__init__.py", 0o644, "")
        .file("var/runtime/bootstrap", 0o755, "#!/bin/sh\n")
}

fn settings(config: &mut Value) {
    config["config"] = json!({
        "Entrypoint": ["/lambda-entrypoint.sh"], "Cmd": ["app.handler"], "WorkingDir": "/var/task",
        "Env": ["PATH=/var/lang/bin:/bin", "LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"],
        "Labels": { "org.opencontainers.image.base.name": "public.ecr.aws/lambda/python:3.12" },
    });
}

fn code() -> Tar {
    Tar::new().directory("var/").directory("var/task/").file(
        "var/task/app.py",
        0o644,
        "def handler(e, c): return e\n",
    )
}

/// An image without faults.
fn good(lbuild: &Lbuild) -> String {
    image(&lbuild.path("good"), &[Layer::gzip(runtime()), Layer::gzip(code())], |config, _| settings(config))
}

/// A library whose parent directory the layer lacks; the name has characters that are special in some output format.
const ODD: &str = "var/task/lib/é 100%, a:b.so";

/// An image with more than ten faults in config, files and layers; `app` is the function's source.
fn broken(lbuild: &Lbuild, app: &str) -> String {
    // Only the ELF header of a library for amd64.
    let elf = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 62, 0, 1, 0, 0, 0], &[0; 40]].concat();
    let data = vec![7_u8; 70_000];
    let code = Tar::new()
        .directory("var/")
        .directory("var/task/")
        .file("var/task/app.py", 0o600, app)
        .file("var/task/app.py", 0o600, app)
        .file(ODD, 0o755, elf)
        .file("var/task/data", 0o644, &data)
        .file("var/task/.env", 0o644, "AWS_KEY=AKIAQ3EGRIXW5Z7TNZ4K\n")
        .symlink("var/task/link", "nowhere")
        .file("../outside", 0o644, "");
    let again = Tar::new().directory("var/").directory("var/task/").file("var/task/data", 0o644, data);
    let again = again.bytes();
    let plain = Layer { diff_id: Digest::of(&again).to_string(), stored: again, media_type: PLAIN };
    let layers = [Layer::gzip(runtime()), Layer::gzip(code), plain];
    image(&lbuild.path("broken"), &layers, |config, _| {
        settings(config);
        config["architecture"] = json!("arm64");
        config["variant"] = json!("v8");
        config["config"]["User"] = json!("nobody");
        config["config"]["Volumes"] = json!({ "/data": {} });
        config["config"]["Env"].as_array_mut().unwrap().push(json!("API_TOKEN=abcdefgh12345678"));
    })
}

/// The report of `lbuild check --json`.
fn report(lbuild: &Lbuild, image: &str, more: &[&str], code: i32) -> Value {
    let done = lbuild.run(&[&["check", image, "--json"], more].concat());
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stdout))
}

fn rules(report: &Value) -> BTreeSet<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

#[test]
fn a_good_image_has_no_findings() {
    let lbuild = Lbuild::new();
    let image = good(&lbuild);
    let report = report(&lbuild, &image, &["--deny", "notes"], 0);
    assert_eq!(report["findings"], json!([]));
    assert!(lbuild.ok(&["check", &image]).stdout.ends_with(": nothing found\n"));
}

#[test]
fn ten_faults_make_one_report_in_a_stable_order() {
    let lbuild = Lbuild::new();
    let broken = broken(&lbuild, "def main(e, c): return e\n");
    let first = report(&lbuild, &broken, &[], 8);
    let found = rules(&first);
    for rule in [
        "duplicate-entry",
        "elf-machine",
        "entry-path",
        "layer-compression",
        "parent-directory",
        "python-handler",
        "repeated-file",
        "secret-config",
        "secret-file",
        "symlink-target",
        "unreadable",
        "user-set",
        "volume-set",
    ] {
        assert!(found.contains(rule), "{rule} in {first:#}");
    }
    // With another cache and more threads.
    assert_eq!(report(&Lbuild::new(), &broken, &["--jobs", "8"], 8), first);
    assert_eq!(report(&lbuild, &broken, &[], 8), first, "from the cache");
    let text = first.to_string();
    assert!(!text.contains("AKIAQ3EGRIXW5Z7TNZ4K") && !text.contains("abcdefgh12345678"), "{text}");
    let kept = files(&lbuild.cache());
    assert!(kept.values().all(|bytes| !bytes.windows(20).any(|window| window == b"AKIAQ3EGRIXW5Z7TNZ4K")));
}

#[test]
fn findings_may_be_allowed_and_denied() {
    let lbuild = Lbuild::new();
    let image = image(&lbuild.path("user"), &[Layer::gzip(runtime()), Layer::gzip(code())], |config, _| {
        settings(config);
        config["config"]["User"] = json!("nobody");
    });
    assert_eq!(rules(&report(&lbuild, &image, &[], 0)), BTreeSet::from(["user-set"]));
    report(&lbuild, &image, &["--deny", "warnings"], 8);
    assert_eq!(
        report(&lbuild, &image, &["--deny", "warnings", "--allow", "user-set"], 0)["findings"],
        json!([])
    );
    let said = lbuild.run(&["check", &image, "--allow", "no-such"]).failed(2);
    assert!(said.contains("there is no rule `no-such`") && said.contains("lbuild rules"), "{said}");
}

#[test]
fn every_rule_is_explained() {
    let lbuild = Lbuild::new();
    let all: Value = serde_json::from_str(&lbuild.ok(&["rules", "--json"]).stdout).unwrap();
    let listed = lbuild.ok(&["rules"]).stdout;
    let mut names = BTreeSet::new();
    for rule in all.as_array().unwrap() {
        let name = rule["name"].as_str().unwrap();
        assert!(names.insert(name) && listed.contains(name));
        for field in ["what", "why", "example", "help", "source"] {
            assert!(rule[field].as_str().is_some_and(|text| text.len() > 10), "{name}: {field}");
        }
        assert!(rule["source"].as_str().unwrap().starts_with("https://"), "{name}");
        assert!(lbuild.ok(&["rules", name]).stdout.contains(rule["why"].as_str().unwrap()));
    }
    assert!(names.len() >= 30, "{}", names.len());
}

#[test]
fn truncated_layers_are_findings() {
    let lbuild = Lbuild::new();
    let whole = Layer::gzip(code());
    for cut in [10, whole.stored.len() / 2, whole.stored.len() - 1] {
        let layer = Layer {
            stored: whole.stored[..cut].to_vec(),
            media_type: image_builder::GZIP,
            diff_id: whole.diff_id.clone(),
        };
        let image = image(&lbuild.path(&format!("cut-{cut}")), &[layer], |config, _| settings(config));
        assert!(rules(&report(&lbuild, &image, &[], 8)).contains("layer-content"));
    }
    let other = Layer {
        stored: image_builder::gzip(b"no tar at all, but long enough for a head"),
        media_type: image_builder::GZIP,
        diff_id: whole.diff_id.clone(),
    };
    let image = image(&lbuild.path("no-tar"), &[other], |config, _| settings(config));
    assert!(rules(&report(&lbuild, &image, &[], 8)).contains("layer-content"));
}
