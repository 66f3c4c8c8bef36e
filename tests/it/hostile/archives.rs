//! Docker archives that are not files, that name one member thousands of times, or that claim false sizes.

use super::{Workspace, words};
use crate::support::image_builder::{Layer, Tar, gzip};
use serde_json::{Value, json};
use std::path::Path;
use tar::EntryType;

/// An archive with this list of layers and this config, and the members that `more` adds.
fn archive(file: &Path, layers: &[&str], config: &Value, more: impl FnOnce(Tar) -> Tar) -> String {
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["a:1"], "Layers": layers }]);
    let tar = Tar::new().file("manifest.json", 0o644, manifest.to_string()).file(
        "config.json",
        0o644,
        config.to_string(),
    );
    std::fs::write(file, more(tar).bytes()).unwrap();
    format!("docker-archive:{}", file.display())
}

fn config(diff_ids: &[&str]) -> Value {
    json!({
        "architecture": "arm64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

#[test]
fn a_path_that_is_not_a_regular_file_is_an_error_at_once() {
    let workspace = Workspace::new();
    let pipe = workspace.lbuild.path("pipe.tar");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let names = [pipe.display().to_string(), "/dev/zero".to_owned(), workspace.lbuild.text("")];
    let runs: Vec<_> =
        names.iter().map(|name| words(&["check", &format!("docker-archive:{name}")])).collect();
    for end in workspace.run(&runs) {
        end.failed(4, &["it is not a regular file"]);
    }
}

#[test]
fn a_member_that_is_named_many_times_is_read_once() {
    let workspace = Workspace::new();
    let layer = Layer::gzip(Tar::new().file("f", 0o644, vec![7; 1 << 20]));
    // Hashing it once per name would take half an hour.
    let (names, ids) = (vec!["x.tgz"; 20_000], vec![layer.diff_id.as_str(); 20_000]);
    let stored = [layer.stored.clone(), gzip(&vec![0; 4 << 20]).repeat(400)].concat();
    let name = archive(&workspace.lbuild.path("a.tar"), &names, &config(&ids), |tar| {
        tar.file("x.tgz", 0o644, stored)
    });
    let done = workspace.run(&[words(&["inspect", &name])]);
    assert_eq!(done[0].code, 0, "{}", done[0].err);
}

#[test]
fn false_claims_of_an_archive_are_detected() {
    let workspace = Workspace::new();
    let layer = Layer::gzip(Tar::new().file("f", 0o644, "f"));
    let config = config(&[&layer.diff_id]);
    let file = |number: usize| workspace.lbuild.path(&format!("{number}.tar"));
    let long = "n".repeat(200);
    type More<'a> = Box<dyn FnOnce(Tar) -> Tar + 'a>;
    let cases: [(&str, More<'_>, &str); 8] = [
        (
            "x",
            Box::new(|tar| tar.pax("size", "9223372036854775807").file("x", 0o644, "")),
            "or it is truncated",
        ),
        (
            "x",
            Box::new(|tar| tar.pax("size", "99999999999999999999").file("x", 0o644, "")),
            "or it is truncated",
        ),
        (
            "x",
            Box::new(|tar| tar.pax("path", &"n".repeat(100_000)).file("x", 0o644, "")),
            "or it is truncated",
        ),
        ("x", Box::new(|tar| tar.symlink("x", "x")), "it lacks a layer"),
        ("x", Box::new(|tar| tar.symlink("x", "../../../../etc/passwd")), "it lacks a layer"),
        ("../x", Box::new(|tar| tar.directory("x/")), "it lacks a layer"),
        ("x", Box::new(|tar| tar.member("x", EntryType::Char, 0o644, b"", "")), "it lacks a layer"),
        (
            "x",
            Box::new(|tar| (0..100_001).fold(tar, |tar, _| tar.directory("d/")).file("x", 0o644, "")),
            "it is not a tar of an image",
        ),
    ];
    let mut runs = Vec::new();
    let mut expected = Vec::new();
    for (number, (name, more, says)) in cases.into_iter().enumerate() {
        runs.push(words(&["check", &archive(&file(number), &[name], &config, more)]));
        expected.push(says);
    }
    let huge = "x".repeat(5 << 20);
    let name = archive(&file(90), &["x"], &json!({ "x": huge }), |tar| tar);
    runs.push(words(&["check", &name]));
    expected.push("larger than 4 MiB");
    for (end, says) in workspace.run(&runs).iter().zip(&expected) {
        end.failed(4, &["Docker archive", says]);
    }
    // rare but legal forms are read
    let stored = layer.stored.clone();
    for more in [
        Box::new(|tar: Tar| tar.pax("path", &long).file("x", 0o644, &stored)) as More<'_>,
        Box::new(|tar: Tar| tar.long(b'L', long.as_bytes()).file("x", 0o644, &stored)),
        Box::new(|tar: Tar| {
            tar.file("y", 0o644, &stored).pax("linkpath", "./y").pax("path", &long).symlink("x", "z")
        }),
    ] {
        let name = archive(&file(91), &[&long], &config, more);
        let done = workspace.run(&[words(&["inspect", &name, "--tree"])]);
        assert!(done[0].code == 0 && done[0].out.contains("/f"), "{}{}", done[0].out, done[0].err);
    }
}

#[test]
fn a_truncated_archive_is_an_error() {
    let workspace = Workspace::new();
    let layer = Layer::gzip(Tar::new().file("f", 0o644, "f"));
    let file = workspace.lbuild.path("a.tar");
    let name = archive(&file, &["x"], &config(&[&layer.diff_id]), |tar| tar.file("x", 0o644, &layer.stored));
    let whole = std::fs::read(&file).unwrap();
    // Cuts within headers and within contents. An archive without only its end blocks is still read.
    for length in [1, 100, 511, 513, 700, 1023, 1030, 1540, 2047, 2060] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let done = workspace.run(&[words(&["check", &name])]);
        assert_eq!(done[0].code, 4, "{length}: {}{}", done[0].out, done[0].err);
    }
    std::fs::write(&file, &whole[..whole.len() - 1024]).unwrap();
    assert_eq!(workspace.run(&[words(&["inspect", &name])])[0].code, 0);
}
