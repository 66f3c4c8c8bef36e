//! Targets in an image that are reached through its symlinks.

use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A base like current distributions: /bin is a symlink, /tmp is writable by everyone.
fn merged(lbuild: &Lbuild, name: &str) -> String {
    let system = Tar::new()
        .directory("usr/")
        .directory("usr/bin/")
        .file("usr/bin/sh", 0o755, "shell")
        .symlink("bin", "usr/bin")
        .symlink("data", "/var/data")
        .directory("var/")
        .member("tmp/", tar::EntryType::Directory, 0o1777, b"", "");
    image(&lbuild.path(name), &[Layer::gzip(system)], |_, _| ())
}

struct AddedFiles {
    code: TempDir,
    files: TempDir,
}

impl AddedFiles {
    fn new() -> AddedFiles {
        let code = function(&[("app.py", "def handler(event, context): pass")]);
        AddedFiles {
            code,
            files: function(&[("tool", "tool"), ("etc/bin/other", "other"), ("etc/tmp/state", "0")]),
        }
    }

    /// The arguments for an image with a file at `/bin/tool`, one in `/data`, and a directory at the root.
    fn arguments(&self, verb: &str, base: &str, to: &str) -> Vec<String> {
        let files = self.files.path().display();
        let code = self.code.path().display().to_string();
        let adds = ["tool:/bin/tool", "tool:/data/", "etc:/"].map(|add| format!("--add={files}/{add}"));
        let all = [verb, &code, "--base", base, "--arch=amd64", "--no-check", "--to", to];
        all.iter().map(|&word| word.to_owned()).chain(adds).collect()
    }
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn links_of_the_base_stay_and_files_go_to_their_targets() {
    let (lbuild, added) = (Lbuild::new(), AddedFiles::new());
    let base = merged(&lbuild, "base");
    let out = lbuild.path("out");
    lbuild.ok(&added.arguments("build", &base, &format!("oci:{}:v1", out.display())));
    let unpacked = image_tools::umoci_unpack(&ImageLocation::layout(&out, "v1")).unwrap();
    let root = unpacked.rootfs();
    assert_eq!(fs::read_link(root.join("bin")).unwrap(), Path::new("usr/bin"));
    assert_eq!(fs::read_link(root.join("data")).unwrap(), Path::new("/var/data"));
    for (path, content) in [
        ("usr/bin/sh", "shell"),
        ("usr/bin/tool", "tool"),
        ("usr/bin/other", "other"),
        ("var/data/tool", "tool"),
        ("tmp/state", "0"),
    ] {
        assert_eq!(read(&root, path), content, "{path}");
    }
    let mode = fs::metadata(root.join("tmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777, "the base's directory keeps its mode");
}

#[test]
fn links_of_earlier_steps_are_followed_too() {
    let (lbuild, added) = (Lbuild::new(), AddedFiles::new());
    let links = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("usr/bin", links.path().join("sbin")).unwrap();
    let base = merged(&lbuild, "base");
    let out = lbuild.path("out");
    let mut all = added.arguments("build", &base, &format!("oci:{}:v1", out.display()));
    all.push(format!("--add={}:/", links.path().display()));
    all.push(format!("--add={}/tool:/sbin/late", added.files.path().display()));
    lbuild.ok(&all);
    let tree: Value = serde_json::from_str(
        &lbuild.ok(&["inspect", &format!("oci:{}:v1", out.display()), "--tree", "--json"]).stdout,
    )
    .unwrap();
    let paths: Vec<&str> = tree.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    assert!(paths.contains(&"usr/bin/late") && paths.contains(&"sbin"), "{paths:?}");
    assert!(!paths.contains(&"sbin/late"), "{paths:?}");
}

fn reads_of_blobs(log: &[AccessLogEntry]) -> usize {
    log.iter().filter(|access| access.method == "GET" && access.path.contains("/blobs/")).count()
}

#[test]
fn an_unchanged_image_reads_no_layer_of_its_base() {
    let (registry, added) = (Registry::start(Mode::Plain), AddedFiles::new());
    let seeding = Lbuild::new();
    merged(&seeding, "base");
    let base = format!("{}/base:1", registry.host());
    image_tools::skopeo_push(
        &format!("oci:{}:{TAG}", seeding.path("base").display()),
        &ImageLocation::registry(&registry, "base:1"),
    )
    .unwrap();
    let to = format!("{}/function:1", registry.host());
    let arguments = added.arguments("push", &base, &to);
    let first = Lbuild::new().ok(&arguments).digest();
    let (fresh, mark) = (Lbuild::new(), registry.mark());
    assert_eq!(fresh.ok(&arguments).digest(), first);
    let log = registry.log_since(mark);
    // Only the configs of the base and of the function are read.
    assert_eq!(reads_of_blobs(&log), 2, "{log:?}");
    assert!(log.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())), "{log:?}");
}

#[test]
fn the_layer_is_made_again_for_another_base() {
    let (lbuild, added) = (Lbuild::new(), AddedFiles::new());
    let plain = Tar::new().directory("bin/").file("bin/sh", 0o755, "shell");
    let plain = image(&lbuild.path("plain"), &[Layer::gzip(plain)], |_, _| ());
    for (base, at) in [(merged(&lbuild, "base"), "usr/bin/tool"), (plain, "bin/tool")] {
        let out = lbuild.path("out");
        lbuild.ok(&added.arguments("build", &base, &format!("oci:{}:v1", out.display())));
        let unpacked = image_tools::umoci_unpack(&ImageLocation::layout(&out, "v1")).unwrap();
        assert_eq!(read(&unpacked.rootfs(), at), "tool");
    }
}
