//! One image has the same findings from every command: from a directory, a zip or a stored image, with a cold or a warm
//! cache, on a base in a layout or in a registry.

use super::{runtime, settings};
use crate::support::image_builder::{self, Layer, PLAIN, Tar, image};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::{run, tool};
use lbuild::image::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A finding, without the digests and URLs in which equal images may differ.
pub type Findings = BTreeSet<String>;

/// The findings of `check --json` or, from standard error, of `push --json`.
fn findings<'a>(found: impl IntoIterator<Item = &'a Value>) -> Findings {
    let hidden = |text: &str| {
        let mut parts = text.split("sha256:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + "sha256:…" + part.get(64..).unwrap_or_default())
    };
    let text = |finding: &Value| {
        let fields =
            ["rule", "severity", "layer_number", "path", "field", "bytes"].map(|name| &finding[name]);
        let message = hidden(finding["message"].as_str().unwrap());
        format!("{}: {message}", fields.map(ToString::to_string).join(" "))
    };
    found.into_iter().map(text).collect()
}

/// The findings that a push reports: it leaves out notes.
pub fn without_notes(findings: &Findings) -> Findings {
    findings.iter().filter(|finding| !finding.contains(r#""note""#)).cloned().collect()
}

#[track_caller]
pub fn of_check(done: &RunOutput) -> Findings {
    assert!([Some(0), Some(8)].contains(&done.code), "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stdout));
    findings(report["findings"].as_array().unwrap())
}

#[track_caller]
pub fn of_push(done: &RunOutput) -> Findings {
    assert!([Some(0), Some(8)].contains(&done.code), "{}{}", done.stdout, done.stderr);
    let lines = done.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found: Vec<Value> = lines.filter(|line| line["reason"] == "finding").collect();
    findings(&found)
}

/// Only the header of a library.
pub fn library(machine: u8) -> Vec<u8> {
    [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, machine, 0, 1, 0, 0, 0], &[0; 40]].concat()
}

pub const ARM64: u8 = 183;
pub const KEY: &str = "AWS_KEY=AKIAQ3EGRIXW5Z7TNZ4K\n";

/// Files that occur in bases and functions, large enough for the rule `repeated-file`.
fn data() -> Vec<u8> {
    vec![7; 70_000]
}

pub struct TestBase {
    pub name: &'static str,
    pub image: String,
    /// Whether an image on it can be sent without a check.
    pub sends: bool,
}

/// Bases with one fault each, and without.
pub fn test_bases(dir: &Lbuild) -> Vec<TestBase> {
    type Edit = fn(&mut Value, &mut Value);
    let task = || Tar::new().directory("var/").directory("var/task/");
    let none: Edit = |_, _| ();
    let layered = |tar: Tar| vec![Layer::gzip(runtime()), Layer::gzip(tar)];
    let plain = || {
        let tar = task().file("var/task/data", 0o644, data()).bytes();
        Layer { diff_id: Digest::of(&tar).to_string(), stored: tar, media_type: PLAIN }
    };
    let os_only = Tar::new().directory("bin/").file("bin/sh", 0o755, "").file(
        "lambda-entrypoint.sh",
        0o755,
        "#!/bin/sh\n",
    );
    let os_only = ["usr/", "usr/local/", "usr/local/bin/"].into_iter().fold(os_only, Tar::directory);
    let os_only = os_only.file("usr/local/bin/aws-lambda-rie", 0o755, "");
    // The program of each starts no runtime that the other bases have.
    let program = |name: &str| Tar::new().directory("bin/").file(&format!("bin/{name}"), 0o755, "");
    let node = program("sh")
        .file("lambda-entrypoint.sh", 0o755, "#!/bin/sh\n")
        .directory("var/")
        .directory("var/runtime/");
    let node = node.file("var/runtime/bootstrap", 0o755, "").file("var/runtime/index.mjs", 0o644, "");
    let cases: Vec<(&'static str, Vec<Layer>, Edit)> = vec![
        ("good", vec![Layer::gzip(runtime())], none),
        ("no-parent", layered(Tar::new().file("srv/x/y", 0o644, "")), none),
        ("twice", layered(task().file("var/task/a", 0o644, "1").file("var/task/a", 0o644, "2")), none),
        ("diff-id", layered(task()), |config, _| {
            config["rootfs"]["diff_ids"][0] = json!(Digest::of(b"other"));
        }),
        ("layer-size", layered(task()), |_, manifest| {
            let size = &mut manifest["layers"][0]["size"];
            *size = json!(size.as_u64().unwrap() + 1);
        }),
        ("unreadable", layered(task().file("var/task/closed", 0o600, "x")), none),
        ("machine", layered(task().file("var/task/other.so", 0o755, library(ARM64))), none),
        ("secret", layered(task().file("var/task/.env", 0o644, KEY)), none),
        ("plain", vec![Layer::gzip(runtime()), plain()], none),
        ("link", layered(task().symlink("var/task/base-link", "nowhere")), none),
        ("user", vec![Layer::gzip(runtime())], |config, _| {
            config["config"]["User"] = json!("nobody");
            config["config"]["Volumes"] = json!({ "/data": {} });
        }),
        ("history", layered(task()), |config, _| config["history"] = json!([{ "created_by": "one" }])),
        ("node", vec![Layer::gzip(node)], |config, _| config["config"]["Labels"] = json!({})),
        ("os-only", vec![Layer::gzip(os_only)], |config, _| config["config"]["Labels"] = json!({})),
        ("no-client", vec![Layer::gzip(program("python3"))], |config, _| {
            config["config"] =
                json!({ "Entrypoint": ["/bin/python3", "-m", "app"], "WorkingDir": "/var/task" });
        }),
        (
            "handler",
            layered(task().file("var/task/app.py", 0o644, "def handler(e, c): return e\n")),
            |config, _| {
                config["config"]["Labels"] = json!({});
            },
        ),
    ];
    let base = |(name, layers, edit): (&'static str, Vec<Layer>, Edit)| {
        let image = image(&dir.path(name), &layers, |config, manifest| {
            settings(config);
            edit(config, manifest);
        });
        TestBase { name, image, sends: name != "layer-size" }
    };
    cases.into_iter().map(base).collect()
}

/// Functions with one fault each, and without; the last is a directory of which another has the packages.
fn functions() -> Vec<(&'static str, TempDir)> {
    let app = ("app.py", b"def handler(e, c): return e\n".to_vec());
    let link = function(std::slice::from_ref(&app));
    symlink("nowhere", link.path().join("link")).unwrap();
    vec![
        ("good", function(std::slice::from_ref(&app))),
        ("name", function(&[("app.py", "def other(e, c): return e\n")])),
        ("missing", function(&[("other.py", "")])),
        (
            "machine",
            function(&[app.clone(), ("lib/native.so", library(ARM64)), ("bin/tool*", library(ARM64))]),
        ),
        ("secret", function(&[app.clone(), (".env", KEY.into()), ("copy", data())])),
        ("link", link),
        ("bootstrap", function(&[app, ("bootstrap", b"#!/usr/bin/env nowhere\n".to_vec())])),
    ]
}

const ZIP: &str = r#"
import os, stat, sys, zipfile
root, out = sys.argv[1:]
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for directory, _, found in os.walk(root):
        for name in sorted(found):
            path = os.path.join(directory, name)
            info = zipfile.ZipInfo(os.path.relpath(path, root))
            info.external_attr = os.lstat(path).st_mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            link = stat.S_ISLNK(info.external_attr >> 16)
            archive.writestr(info, os.readlink(path) if link else open(path, "rb").read())
"#;

fn zipped(directory: &Path, to: PathBuf) -> String {
    run(Command::new(tool("python3")).args(["-c", ZIP]).arg(directory).arg(&to)).unwrap();
    to.display().to_string()
}

/// Runs `work` for every item, on a few threads.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// The command line that builds an image.
pub fn command<'a>(verb: &'a str, path: &'a str, base: &'a str, to: &'a str) -> Vec<&'a str> {
    let more = ["--arch", "amd64", "--handler", "app.handler", "--to", to, "--json"];
    [&[verb, path, "--base", base][..], &more].concat()
}

/// Compares the findings about the image of a function on a base, from every command.
fn compare(name: &str, base: &TestBase, tree: &str, zip: &str, more: &[&str]) -> Findings {
    let with = |command: Vec<&'_ str>| -> Vec<String> {
        command.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let to = "oci:out:v1";
    let expected = of_check(&Lbuild::new().run(&with(command("check", tree, &base.image, to))));
    for path in [tree, zip] {
        let [checking, pushing, built] = [Lbuild::new(), Lbuild::new(), Lbuild::new()];
        for state in ["cold", "warm"] {
            let what = format!("{name}, {path}, {state}");
            let checked = of_check(&checking.run(&with(command("check", path, &base.image, to))));
            assert_eq!(checked, expected, "check of {what}");
            let mut push = with(command("push", path, &base.image, to));
            push.push("--dry-run".to_owned());
            let pushed = of_push(&pushing.run(&push));
            assert_eq!(pushed, without_notes(&expected), "push of {what}");
        }
        if !base.sends {
            continue;
        }
        let mut push = with(command("push", path, &base.image, to));
        push.push("--no-check".to_owned());
        built.ok(&push);
        push.pop();
        // The layers are made, but were not scanned.
        assert_eq!(of_push(&built.run(&push)), without_notes(&expected), "push of {name}, {path}, made");
        let image = format!("oci:{}:v1", built.text("out"));
        for user in [&Lbuild::new(), &built, &built] {
            let checked = of_check(&user.run(&["check", &image, "--json"]));
            assert_eq!(checked, expected, "check of the image of {name}, {path}");
        }
    }
    expected
}

#[test]
fn an_image_has_the_same_findings_from_every_command() {
    let dir = Lbuild::new();
    let (bases, functions) = (test_bases(&dir), functions());
    let zips: Vec<String> =
        functions.iter().map(|(name, code)| zipped(code.path(), dir.path(&format!("{name}.zip")))).collect();
    let images: Vec<(usize, usize)> = (0..bases.len())
        .flat_map(|base| [0, 1, 3, 4].map(|step| (base, (base + step) % functions.len())))
        .collect();
    assert!(images.len() >= 60);
    let seen = std::sync::Mutex::new(BTreeSet::new());
    each(&images, |&(base, function)| {
        let (base, (what, code)) = (&bases[base], &functions[function]);
        let name = format!("{what} on {}", base.name);
        let found = compare(&name, base, code.path().to_str().unwrap(), &zips[function], &[]);
        let rules = found.iter().map(|finding| finding.split('"').nth(1).unwrap().to_owned());
        seen.lock().unwrap().extend(rules);
    });
    // The images have these faults.
    let seen = seen.into_inner().unwrap();
    for rule in [
        "bootstrap",
        "descriptor-size",
        "duplicate-entry",
        "elf-machine",
        "layer-descriptors",
        "parent-directory",
        "python-handler",
        "node-handler",
        "repeated-file",
        "runtime-client",
        "secret-file",
        "symlink-target",
        "unreadable",
        "user-set",
        "volume-set",
    ] {
        assert!(seen.contains(rule), "{rule} in {seen:?}");
    }
}

const WHEEL: &str = r#"
import sys, zipfile
out, name, machine = sys.argv[1:]
info = f"{name}-1.dist-info"
library = b"\x7fELF\x02\x01\x01" + bytes(9) + bytes([3, 0, int(machine), 0, 1, 0, 0, 0]) + bytes(40)
files = {
    f"{name}/__init__.py": b"", f"{name}/native.so": library, f"{name}/data": bytes([7]) * 70000,
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode(),
    f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for path, content in files.items():
        archive.writestr(path, content)
"#;

/// A lock file of wheels, each with a library for this machine.
fn lock(dir: &Lbuild, wheels: &[(&str, u8)]) -> String {
    let mut text = "lock-version = '1.0'\ncreated-by = 'tests'\n".to_owned();
    for (name, machine) in wheels {
        let wheel = dir.path(&format!("{name}-1-py3-none-any.whl"));
        let mut python = Command::new(tool("python3"));
        run(python.args(["-c", WHEEL]).arg(&wheel).arg(name).arg(machine.to_string())).unwrap();
        let hash = image_builder::hex(&std::fs::read(&wheel).unwrap());
        text += &format!(
            "[[packages]]\nname = '{name}'\nwheels = [{{ path = '{}', hashes = {{ sha256 = '{hash}' }} }}]\n",
            wheel.display()
        );
    }
    let path = dir.path("pylock.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The file in the wheels is also in the function: a note about repeated content needs the digests of both.
#[test]
fn packages_have_the_same_findings_when_they_are_pushed() {
    let dir = Lbuild::new();
    let code = function(&[("app.py", "def handler(e, c): return e\n".into()), ("data", data())]);
    let zip = zipped(code.path(), dir.path("code.zip"));
    let base = &test_bases(&dir)[0];
    for (wheels, rule) in
        [(&[("right", 62)][..], "repeated-file"), (&[("right", 62), ("wrong", ARM64)], "elf-machine")]
    {
        let lock = lock(&dir, wheels);
        let more = ["--lock", &lock, "--python-version", "3.12"];
        let found = compare(rule, base, code.path().to_str().unwrap(), &zip, &more);
        assert!(found.iter().any(|finding| finding.contains(rule)), "{found:?}");
    }
}
